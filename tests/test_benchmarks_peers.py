"""What peers reach within so many bytes, with the codecs of every Pillow."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, features

from diffc_benchmarks.peers import PEERS, Family, Peer, Search, attempts, best, enlarged
from diffc_stream.metrics import psnr

JPEG = next(peer for peer in PEERS if peer.name == "JPEG")


def picture() -> NDArray[np.uint8]:
    y, x = np.mgrid[:96, :128]
    waves = 128 + 60 * np.sin(x / 9)[..., None] + 40 * np.cos(y / 5)[..., None] * [1, 0.5, 0.2]
    noise = np.random.default_rng(3).normal(0, 6, waves.shape)
    clipped: NDArray[np.uint8] = np.clip(waves + noise, 0, 255).astype(np.uint8)
    return clipped


def search() -> Search:
    return Search(Image.fromarray(picture()), JPEG, JPEG.families[0])


@pytest.mark.parametrize("limit", [900, 1500, 3000, 5000])
def test_the_largest_file_that_fits(limit: int) -> None:
    found = search().within(limit)
    assert found is not None
    data, settings = found
    quality = int(settings.rpartition(" ")[2])
    larger = io.BytesIO()
    options = JPEG.families[0].options
    Image.fromarray(picture()).save(larger, "JPEG", quality=quality + 1, **options)
    assert len(data) <= limit < len(larger.getvalue())


def test_what_never_fits_and_what_always_does() -> None:
    assert search().within(100) is None
    found = search().within(10**6)
    assert found is not None
    assert found[1] == "progressive, quality 95"


def test_an_encoder_that_refuses_a_picture_has_no_file() -> None:
    large = Image.new("RGB", (70_000, 1))
    assert Search(large, JPEG, JPEG.families[0]).within(10**6) is None


def test_attempts_stay_within_the_bytes_and_have_the_size() -> None:
    rates = [0.05, 0.2, 1.0]
    for rate, found in zip(rates, attempts(picture(), JPEG, rates), strict=True):
        for attempt in found:
            assert len(attempt.data) <= rate * 96 * 128 / 8
            assert attempt.picture.shape == picture().shape


def test_best_is_the_best_attempt() -> None:
    few, many = best(picture(), JPEG, [0.001, 1.0])
    assert np.isnan(few)
    (found,) = attempts(picture(), JPEG, [1.0])
    assert many == max(psnr(attempt.picture, picture()) for attempt in found)


def test_enlarged_to_the_size() -> None:
    found = search().within(10**6)
    assert found is not None
    assert enlarged(found[0], 192, 256).shape == (192, 256, 3)


def test_peers_that_are_missing_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Peer(
        name="None", format="NONE", suffix="", plugin=("no-such-package", "no_such"), families=()
    )
    assert absent.version() is None
    assert absent.missing() == "None is left out: pip install no-such-package"
    monkeypatch.setattr(features, "check", lambda name: False)
    assert JPEG.version() is None
    assert "built without it" in JPEG.missing()


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_the_first_and_last_settings_are_settings(peer: Peer) -> None:
    if peer.version() is None:
        pytest.skip(peer.missing())
    for family in peer.families:
        ends = Family(
            name=family.name,
            options=family.options,
            knob=family.knob,
            positions=[family.positions[0], family.positions[-1]],
        )
        tried = Search(Image.fromarray(picture()), peer, ends)
        most = tried.within(10**6)
        assert most is not None
        least = tried.within(len(most[0]) - 1)
        assert least is not None
        assert psnr(enlarged(least[0], 96, 128), picture()) < psnr(
            enlarged(most[0], 96, 128), picture()
        )
