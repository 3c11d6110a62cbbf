"""How far apart pictures start from one another."""

import numpy as np
import pytest
from numpy.typing import NDArray

from diffc_stream.clips.stride import stride

Picture = NDArray[np.uint8]


def scene(seed: int) -> Picture:
    values = np.random.default_rng(seed).integers(0, 255, (10, 30, 3))
    return np.kron(values, np.ones((8, 8, 1))).astype(np.uint8)


def passing(pixels: int, count: int = 9) -> list[Picture]:
    """A camera that moves by so many pixels from picture to picture."""
    whole = scene(0)
    return [whole[:, pixels * n : pixels * n + 96].copy() for n in range(count)]


def test_what_moves_slowly_has_sources_on_either_side() -> None:
    assert stride(passing(1)) == 4


def test_what_has_nothing_in_common_is_all_the_same() -> None:
    assert stride([scene(seed)[:, :96].copy() for seed in range(6)]) == 4


def test_what_changes_fast_starts_from_its_neighbour() -> None:
    held = [scene(n // 2)[:, :96] for n in range(9)]  # each is there twice
    shown = [held[n] if n not in (3, 7) else held[n - 1] for n in range(9)]
    assert stride([picture.copy() for picture in shown]) == 1


@pytest.mark.parametrize(("count", "most"), [(2, 1), (3, 2), (4, 2), (5, 4)])
def test_short_clips(count: int, most: int) -> None:
    assert stride(passing(0, count)) == most
