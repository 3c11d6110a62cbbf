"""Commands are measured as they are, at the sizes asked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from diffc_benchmarks.one_core import Failed, enlarged, main, spent
from diffc_stream.picture import save_png

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="one core of Linux's")


def ramp(height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.arange(3 * height * width, dtype=np.uint8).reshape(height, width, 3)


@pytest.mark.parametrize("size", [(40, 60), (50, 51), (900, 1000), (10, 2000)])
def test_pictures_are_cut_or_repeated(size: tuple[int, int]) -> None:
    picture = enlarged(ramp(*size), 0.06)
    assert picture.shape == (200, 300, 3)
    assert picture.flags.c_contiguous


def test_of_a_large_picture_it_is_the_middle_and_of_a_tall_one_tall() -> None:
    picture = ramp(1000, 900)
    cut = enlarged(picture, 0.06)
    assert cut.shape == (300, 200, 3)
    assert np.array_equal(cut, picture[350:650, 350:550])


def test_what_is_repeated_continues() -> None:
    picture = ramp(4, 300)
    repeated = enlarged(picture, 0.06)
    assert np.array_equal(repeated[98:102], picture)
    assert np.array_equal(repeated[102:106], picture[::-1])


def test_what_a_command_takes() -> None:
    told = "import os; bytearray(b'x') * 50_000_000; assert len(os.sched_getaffinity(0)) == 1"
    ours = np.ones(200_000_000, np.uint8)  # resident here, and of no account there
    taken = spent((sys.executable, "-S", "-c", told), os.environ)
    assert ours.all()
    assert 0 < taken.seconds < 60
    assert 50e6 < taken.resident < 150e6


def test_a_command_that_fails_says_so() -> None:
    with pytest.raises(Failed, match="ended with 3"):
        spent((sys.executable, "-S", "-c", "raise SystemExit(3)"), os.environ)


def test_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_png(tmp_path / "photo.png", ramp(20, 30))
    assert main([str(tmp_path / "photo.png"), "--megapixels", "0.0015"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1].startswith("| 47x32 | ")
    assert printed[-1].count("GB") == 3
    assert main([str(tmp_path / "none.png")]) != 0
    assert "none.png" in capsys.readouterr().err


def test_nonsense_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["photo.png", "--megapixels", "1000"])
    assert "megapixels" in capsys.readouterr().err
