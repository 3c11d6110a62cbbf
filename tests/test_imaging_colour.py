"""Colour by numbers: primaries and curves, checked by what they were made with."""

from __future__ import annotations

import numpy as np
import pytest

from diffc_stream.imaging.colour import (
    ADOBE_RGB,
    ROMM_RGB,
    Coding,
    calibrated,
    coding_of,
    in_srgb,
)

BT709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
P3 = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.3290)


def shown(coding: Coding | None, *samples: int, dtype: type = np.uint8) -> list[int]:
    assert coding is not None
    out = in_srgb(np.array([[samples]], dtype), coding)
    return [int(v) for v in out[0, 0]]


def srgb(light: float) -> int:
    value = 12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055
    return round(255 * float(value))


def pq(nits: float) -> int:
    """Return the sample of 16 bits."""
    root = (nits / 10_000) ** (2610 / 16384)
    value = (3424 / 4096 + 2413 / 128 * root) / (1 + 2392 / 128 * root)
    return round(65535 * float(value ** (2523 / 32)))


def hlg(scene: float) -> int:
    """Return the sample of 16 bits, for light of the scene."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    value = (3 * scene) ** 0.5 if scene <= 1 / 12 else a * np.log(12 * scene - b) + c
    return round(65535 * float(value))


def test_srgb_is_nothing_to_convert() -> None:
    for primaries in (1, 2):
        for transfer in (1, 2, 6, 13, 14, 15):
            assert coding_of(primaries, transfer) is None
    assert calibrated(2.2, None) is None
    assert calibrated(1 / 0.45455, BT709) is None
    assert coding_of(3, 13) is None  # reserved
    assert coding_of(12, 3) is None


def test_display_p3() -> None:
    assert shown(coding_of(12, 13), 200, 100, 50) == pytest.approx([215, 93, 31], abs=1)
    assert shown(calibrated(2.2, P3), 200, 100, 50) == pytest.approx([215, 93, 31], abs=1)
    assert shown(coding_of(12, 13), 255, 0, 0) == [255, 0, 0]
    for grey in (0, 7, 128, 255):
        assert shown(coding_of(12, 13), grey, grey, grey) == [grey] * 3


@pytest.mark.parametrize("code", [4, 5, 6, 7, 8, 9, 11, 12, 22])
def test_white_stays_white_and_grey_grey(code: int) -> None:
    for grey in (16, 128, 255):
        assert shown(coding_of(code, 13), grey, grey, grey) == pytest.approx([grey] * 3, abs=1)


@pytest.mark.parametrize(
    ("transfer", "exponent"), [(4, 2.2), (5, 2.8), (8, 1.0)], ids=["2.2", "2.8", "linear"]
)
def test_powers(transfer: int, exponent: float) -> None:
    for value in (3, 60, 128, 250):
        expected = [srgb((value / 255) ** exponent)] * 3
        assert shown(coding_of(1, transfer), value, value, value) == expected
        if exponent != 2.2:
            assert shown(calibrated(exponent, None), value, value, value) == expected


@pytest.mark.parametrize("primaries", [1, 9, 12])
def test_pq_has_its_reference_white_at_white(primaries: int) -> None:
    coding = coding_of(primaries, 16)
    for nits in (0.0, 1.0, 20.0, 100.0, 203.0, 400.0, 10_000.0):
        grey = shown(coding, *[pq(nits)] * 3, dtype=np.uint16)
        assert grey == pytest.approx([srgb(min(1.0, nits / 203))] * 3, abs=1)
    assert shown(coding, 148, 148, 148) == [255] * 3


def test_hlg_has_its_reference_white_at_white() -> None:
    for scene in (0.0, 0.01, 0.1, 0.2, 1.0):
        nits = 1000 * scene**1.2
        grey = shown(coding_of(9, 18), *[hlg(scene)] * 3, dtype=np.uint16)
        assert grey == pytest.approx([srgb(min(1.0, nits / 203))] * 3, abs=1)
    assert shown(coding_of(9, 18), *[round(0.75 * 65535)] * 3, dtype=np.uint16) == [255] * 3
    # The rule of a screen takes all three together.
    red = shown(coding_of(1, 18), hlg(0.1), 0, 0, dtype=np.uint16)
    light = 1000 / 203 * (0.2126 * 0.1) ** 0.2 * 0.1
    assert red == pytest.approx([srgb(light), 0, 0], abs=1)


def test_adobe_rgb_is_as_littlecms_has_it() -> None:
    assert shown(ADOBE_RGB, 180, 120, 60) == pytest.approx([199, 121, 53], abs=1)


def test_romm_rgb() -> None:
    for grey in (8, 128, 255):
        light = (grey / 255) ** 1.8 if grey > 7 else grey / 255 / 16
        assert shown(ROMM_RGB, grey, grey, grey) == pytest.approx([srgb(light)] * 3, abs=1)


@pytest.mark.parametrize(
    "chromaticities",
    [(0.0,) * 8, (0.3,) * 8, (*BT709[:6], 0.3, 0.0), BT709[:7], (float("nan"),) * 8, (9.0,) * 8],
)
def test_colours_that_are_none_say_nothing(chromaticities: tuple[float, ...]) -> None:
    assert calibrated(1.0, chromaticities) is None


def test_exponents_that_are_none_say_nothing() -> None:
    for exponent in (0.0, -1.0, 1e9, float("inf"), float("nan")):
        assert calibrated(exponent, None) is None


def test_large_pictures_are_converted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.random.default_rng(2).integers(0, 65536, (37, 5, 3), np.uint16)
    coding = coding_of(9, 16)
    assert coding is not None
    whole = in_srgb(samples, coding)
    monkeypatch.setattr("diffc_stream.imaging.colour._PART", 20)
    assert np.array_equal(in_srgb(samples, coding), whole)
