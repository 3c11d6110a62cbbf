"""A picture that both ends hold: how it is fitted, and what it gives."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.observation import Observation
from diffc_stream.diffusion.reference import ReferencePicture, fitted
from diffc_stream.diffusion.trust import Trust, cells

RANDOM = np.random.default_rng(5)
SIZES = octaves.sizes(60, 90)


def picture(height: int = 60, width: int = 90) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return RANDOM.integers(0, 256, (height, width, 3), dtype=np.uint8)


def trust(code: int = 0x4F, changed: bool = False) -> Trust:
    return Trust((code,) * len(SIZES), np.full(cells(SIZES), changed), tuple(SIZES))


def nothing() -> tuple[NDArray[np.float32], Observation]:
    """Return the estimate and the observation of the coarsest octave at the start."""
    known = Observation.nothing(SIZES[-1], len(SIZES) - 1)
    return np.zeros((3, *SIZES[-1]), np.float32), known


def test_a_picture_of_the_same_size_gives_its_octaves() -> None:
    known = picture()
    result = fitted(known, SIZES)
    x = octaves.signal(known)
    for octave in result:
        assert octave is not None
        np.testing.assert_array_equal(octave, x)
        x = octaves.means(x)


def test_a_thumbnail_gives_the_octaves_that_it_has() -> None:
    known = picture(31, 47)
    first, second, third = fitted(known, SIZES)
    assert first is None
    assert second is not None
    assert third is not None
    assert second.shape == (3, 30, 45)
    assert float(second.mean()) == pytest.approx(float(octaves.signal(known).mean()), abs=1e-5)
    assert third.shape == (3, 15, 23)


def test_areas_are_averaged() -> None:
    known = np.zeros((60, 135, 3), np.uint8)
    known[:, ::3] = 255
    reduced = fitted(known, SIZES)[0]
    assert reduced is not None
    # Every two pixels of the result are three of the reference, one of which is white.
    np.testing.assert_allclose(reduced[0, 0, :4], [2 / 3 * 4 - 2, -2, 2 / 3 * 4 - 2, -2], atol=1e-5)


def test_a_moved_picture_repeats_its_border() -> None:
    known = picture()
    moved = fitted(known, SIZES, (2, -3))[0]
    still = octaves.signal(known)
    assert moved is not None
    np.testing.assert_array_equal(moved[:, 2:, :-3], still[:, :-2, 3:])
    np.testing.assert_array_equal(moved[:, 0, :-3], still[:, 0, 3:])


def test_a_tiny_reference_is_refused() -> None:
    with pytest.raises(ValueError, match="too small"):
        fitted(picture(10, 10), SIZES)


def test_a_reference_that_is_right_is_the_estimate() -> None:
    known = picture()
    reference = ReferencePicture(fitted(known, SIZES), trust())
    x = reference.corrected(*nothing())
    for octave in range(len(SIZES) - 2, -1, -1):
        x = reference.enlarged(x, octave)
    np.testing.assert_allclose(x, octaves.signal(known), atol=0.01)


def test_changed_cells_are_as_without_it() -> None:
    reference = ReferencePicture(fitted(picture(), SIZES), trust(changed=True))
    assert not reference.corrected(*nothing()).any()
    x = octaves.signal(picture(15, 23))
    wide = reference.enlarged(x, 1)
    np.testing.assert_allclose(octaves.means(wide), x, atol=1e-5)
    bands = octaves.details(octaves.upsampled(x, SIZES[1]))
    np.testing.assert_allclose(octaves.details(wide), bands, atol=1e-5)


def test_octaves_finer_than_a_thumbnail_are_as_without_it() -> None:
    reference = ReferencePicture(fitted(picture(31, 47), SIZES), trust())
    bands = RANDOM.normal(size=(3, 3, 30, 45)).astype(np.float32)
    assert reference.foreseen(bands, 0) is bands


def test_joined_estimates_come_from_the_reference_until_the_stream_knows_better() -> None:
    known = picture()
    reference = ReferencePicture(fitted(known, SIZES), trust(0x4A))
    fine = octaves.signal(picture())
    coarse = octaves.means(octaves.signal(known))
    for snr, near in ((0.1, True), (1e6, False)):
        observation = Observation.white(fine, snr, 0)
        joined = reference.joined(observation, fine, coarse)
        distance = float(np.abs(joined - octaves.signal(known)).mean())
        assert (distance < 0.1) is near
        bands = octaves.details(joined)
        expected = octaves.details(octaves.signal(known) if near else fine)
        np.testing.assert_allclose(bands, expected, atol=0.2)
