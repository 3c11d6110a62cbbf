"""How far a camera has moved between two pictures."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from diffc_stream.codec.motion import moved
from diffc_stream.diffusion import octaves

Floats = NDArray[np.float32]


def scene(height: int, width: int, seed: int = 0) -> Floats:
    random = np.random.default_rng(seed)
    total = random.normal(0, 0.1, (3, height, width)).astype(np.float32)
    for side in (4, 16):
        small = random.normal(0, 1, (3, height // side, width // side)).astype(np.float32)
        total += small.repeat(side, axis=1).repeat(side, axis=2)
    return total


def pyramid(x: Floats) -> list[Floats]:
    result = [x]
    for _ in octaves.sizes(*x.shape[1:])[1:]:
        result.append(octaves.means(result[-1]))
    return result


@pytest.mark.parametrize("shift", [(0, 0), (3, -5), (-11, 2), (0, 24)])
def test_a_shaken_camera(shift: tuple[int, int]) -> None:
    wide = scene(256, 320)
    down, right = shift
    before = wide[:, 32 : 32 + 192, 32 : 32 + 256]
    now = wide[:, 32 - down : 32 - down + 192, 32 - right : 32 - right + 256]
    assert moved(pyramid(now), pyramid(before)) == shift


def test_a_large_picture_is_looked_at_in_a_coarser_octave_first() -> None:
    wide = scene(704, 1120)
    before, now = wide[:, 32:672, 32:1056], wide[:, 25:665, 45:1069]
    assert moved(pyramid(now), pyramid(before)) == (7, -13)


def test_two_pictures_have_not_moved() -> None:
    assert moved(pyramid(scene(64, 96, 1)), pyramid(scene(64, 96, 2))) == (0, 0)


def test_pictures_of_one_colour_have_not_moved() -> None:
    flat = pyramid(np.zeros((3, 64, 96), np.float32))
    assert moved(flat, flat) == (0, 0)


def test_the_smallest_picture() -> None:
    one = pyramid(np.ones((3, 1, 1), np.float32))
    assert moved(one, one) == (0, 0)
