"""Motions: what they come to in bytes, and what they do to a picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.motion import MOST_MOVED, Motion

SIZES = octaves.sizes(180, 330)
BLOCKS = 12, 21
WAYS = st.integers(-MOST_MOVED, MOST_MOVED)
VECTORS = arrays.arrays(np.int32, (2, *BLOCKS), elements=WAYS, fill=st.just(5))


def motion(down: int, right: int) -> Motion:
    still = Motion.still(SIZES)
    still.vectors[0], still.vectors[1] = down, right
    return still


@given(VECTORS)
def test_it_comes_back_as_it_was(vectors: NDArray[np.int32]) -> None:
    data = Motion(vectors, 16).encode()
    again = Motion.parse(data, SIZES)
    assert np.array_equal(again.vectors, vectors)
    assert again.side == 16


def test_what_is_simple_is_short() -> None:
    assert len(motion(0, 0).encode()) == 1
    assert len(motion(3, -40).encode()) == 3
    two = motion(3, -40)
    two.vectors[:, 2, 5] = 0, 0
    assert len(two.encode()) < 16


@given(st.binary(max_size=20))
def test_any_bytes_are_a_motion_or_refused(data: bytes) -> None:
    try:
        read = Motion.parse(data, SIZES)
    except ValueError:
        return
    assert np.abs(read.vectors).max() <= MOST_MOVED


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "only in part"),
        (b"\x00\x00\x00", "too far"),
        (b"\x60\x00", "something follows"),
        (b"\x61", "something follows"),
    ],
)
def test_what_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Motion.parse(data, SIZES)


def test_whole_pixels_are_moved_as_they_are() -> None:
    x = np.random.default_rng(0).normal(size=(3, 180, 330)).astype(np.float32)
    moved = motion(6, -4).moved(x)
    assert np.allclose(moved[:, 3:, :-2], x[:, :-3, 2:], atol=1e-6)
    assert np.allclose(moved[:, :3, :-2], x[:, :1, 2:], atol=1e-6), "borders repeat"
    assert motion(0, 0).moved(x) is x


def test_half_pixels_are_between() -> None:
    x = np.zeros((3, 180, 330), np.float32)
    x[:] = np.arange(330)
    assert np.allclose(motion(0, 1).moved(x)[:, :, 1:], x[:, :, 1:] - 0.5, atol=1e-4)


def test_between_blocks_it_goes_over_smoothly() -> None:
    x = np.zeros((3, 180, 330), np.float32)
    x[:] = np.arange(330)
    halves = motion(0, 0)
    halves.vectors[1, :, 7:] = 20
    moved = halves.moved(x)
    assert np.allclose(moved[:, :, :100], x[:, :, :100], atol=1e-3)
    assert np.allclose(moved[:, :, 125:], x[:, :, 125:] - 10, atol=1e-3)
    steps = np.diff((x - moved)[0, 50])
    assert steps.min() > -1e-3
    assert steps.max() < 1


def test_blocks_of_small_pictures_are_smaller() -> None:
    still = Motion.still(octaves.sizes(40, 30))
    assert still.side == 2
    assert still.vectors.shape == (2, 20, 15)
