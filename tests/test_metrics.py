from __future__ import annotations

import math

import numpy as np
import pytest

from diffc_stream.metrics import bits_per_pixel, psnr, told


def test_equal_pictures_are_infinitely_good() -> None:
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert psnr(picture, picture.copy()) == math.inf


def test_black_against_white_is_zero_decibels() -> None:
    black = np.zeros((5, 7, 3), np.uint8)
    assert psnr(black, ~black) == pytest.approx(0.0)


def test_an_error_of_one_grey_level_everywhere() -> None:
    grey = np.full((8, 8, 3), 100, np.uint8)
    assert psnr(grey, grey + 1) == pytest.approx(20 * math.log10(255))
    assert psnr(grey + 1, grey) == psnr(grey, grey + 1)


def test_unsigned_differences_do_not_wrap() -> None:
    dark, bright = np.zeros((1, 1, 3), np.uint8), np.full((1, 1, 3), 200, np.uint8)
    assert psnr(dark, bright) == pytest.approx(20 * math.log10(255 / 200))


@pytest.mark.parametrize("shape", [(1, 2, 3), (2, 1, 3), (0, 2, 3)])
def test_pictures_that_cannot_be_compared(shape: tuple[int, ...]) -> None:
    picture = np.zeros(shape, np.uint8)
    other = np.zeros((1, 1, 3), np.uint8) if picture.size else picture
    with pytest.raises(ValueError, match="cannot be compared"):
        psnr(picture, other)


def test_bits_per_pixel() -> None:
    assert bits_per_pixel(1000, 100, 80) == 1.0
    assert bits_per_pixel(0, 1, 1) == 0.0
    with pytest.raises(ValueError, match="no pixels"):
        bits_per_pixel(1, 0, 5)


def test_a_quality_that_is_not_known_well_is_told_by_its_range() -> None:
    assert told(26.34) == "about 26.3 dB"
    assert told(26.34, (25.6, 27.2)) == "about 26.3 dB"
    assert told(21.3, (19.84, 22.91)) == "19.8 to 22.9 dB"
