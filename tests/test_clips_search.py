"""How the sender finds where a picture comes from."""

import numpy as np
import pytest

from diffc_stream.clips.search import searched
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.motion import Motion

SIZES = octaves.sizes(96, 128)
"""Blocks of 8 pixels."""


def scene(seed: int = 0) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    """Noise with edges of eight pixels."""
    values = np.random.default_rng(seed).normal(size=(3, 20, 24))
    return np.kron(values, np.ones((1, 8, 8))).astype(np.float32)


def test_a_whole_picture_has_one_vector() -> None:
    whole = scene()
    here, there = whole[:, 20:116, 20:148], whole[:, 17:113, 26:154]
    found = searched(here, there, Motion.still(SIZES).side, (0, 0), 1e-3)
    assert np.array_equal(np.unique(found.vectors[0]), [-6])
    assert np.array_equal(np.unique(found.vectors[1]), [12])
    assert len(found.encode()) == 3


def test_large_movements_are_found_around_that_of_the_picture() -> None:
    whole = scene()
    here, there = whole[:, 20:116, :128], whole[:, 20:116, 40:168]
    found = searched(here, there, Motion.still(SIZES).side, (0, 38), 1e-3)
    assert np.median(found.vectors[1]) == 80


@pytest.mark.parametrize(("price", "moves"), [(1e-6, True), (1.0, False)])
def test_a_part_that_moves_has_its_own_where_it_is_worth_it(price: float, moves: bool) -> None:
    there = scene()[:, :96, :128]
    here = there.copy()
    here[:, 32:64, 48:96] = there[:, 32:64, 44:92]
    found = searched(here, there, Motion.still(SIZES).side, (0, 0), price)
    assert bool(found.vectors.any()) is moves
    if moves:
        assert found.vectors[1, 5, 8] == 8
        assert not found.vectors[:, :, 13:].any()
        left = np.square(found.moved(there) - here).mean()
        assert left < 0.5 * np.square(there - here).mean()
