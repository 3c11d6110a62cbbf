"""What precision by scale gains on a Gaussian: bounds that hold, ratios that order as they must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffc_benchmarks.gaussian_scales import RATES, Patches, main, table
from diffc_stream.errors import UnreadablePicture
from diffc_stream.picture import save_png

SIDE = 4


@pytest.fixture(scope="module")
def smooth() -> Patches:
    """Values correlated by distance, channels by half."""
    place = np.arange(SIDE)
    line = 0.9 ** np.abs(place[:, None] - place)
    colour = 0.5 + 0.5 * np.eye(3)
    return Patches(np.kron(colour, np.kron(line, line)).astype(np.float64))


def test_white_values_gain_nothing_by_any_shape() -> None:
    white = Patches(np.eye(3 * SIDE**2))
    bits = 0.3
    ideal = 4 ** -(bits / 3)
    assert white.bound(bits) == pytest.approx(ideal)
    assert white.error(bits, 1.0, 0) == pytest.approx(ideal, rel=1e-4)
    assert white.error(bits, 0.6, 0) > ideal


def test_no_observation_beats_the_bound_and_octaves_help_where_bits_are_few(
    smooth: Patches,
) -> None:
    for bits in (0.02, 0.2):
        for ratio in (1.0, 0.6):
            assert smooth.best(bits, ratio) > smooth.bound(bits)
    assert smooth.best(0.02, 1.0) < smooth.error(0.02, 1.0, 0)
    assert smooth.error(0.2, 0.6, 0) < smooth.error(0.2, 1.0, 0)


def test_more_bits_leave_less_in_every_octave(smooth: Patches) -> None:
    for octave in range(smooth.octaves):
        errors = [smooth.error(bits, 0.6, octave) for bits in (0.05, 0.1)]
        assert errors[1] < errors[0] < 1.0


def test_photographs_are_fitted_and_their_table_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for number in range(2):
        save_png(tmp_path / f"{number}.png", rng.integers(0, 256, (32, 32, 3), np.uint8))
    monkeypatch.setattr("diffc_benchmarks.gaussian_scales.RATES", RATES[2:3])
    monkeypatch.setattr("diffc_benchmarks.gaussian_scales.RATIOS", (0.6,))
    monkeypatch.setattr("diffc_benchmarks.gaussian_scales.SIDE", SIDE)
    assert main(["--images", str(tmp_path)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "| bits per pixel | 0.1 |"
    assert [line.split("|")[1].strip() for line in printed[2:]] == [
        "R(D)",
        "white noise, finest only",
        "by octaves, ratio 0.6",
    ]


def test_too_few_patches_are_an_error_of_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_png(tmp_path / "one.png", np.zeros((32, 32, 3), np.uint8))
    assert main(["--images", str(tmp_path)]) == UnreadablePicture.exit_code
    assert "too few" in capsys.readouterr().err


def test_a_table_has_a_column_a_rate(smooth: Patches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffc_benchmarks.gaussian_scales.RATIOS", ())
    lines = table(smooth).splitlines()
    assert lines[0].count("|") == len(RATES) + 2
    assert lines[2].startswith("| R(D) |")
