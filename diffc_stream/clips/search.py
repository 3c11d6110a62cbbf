"""The sender's search for how a picture has moved: where it is worth its bytes, block by block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diffc_stream.codec.motion import moved
from diffc_stream.diffusion.motion import Motion

Floats = NDArray[np.float32]

REACH = 8
"""How far, in pixels, blocks are looked for around the movement of the whole picture."""

PRICE = 3e-4
"""Mean squared error, in signal units, that a byte of vectors is worth where pictures are compared
before anything of them is coded."""


def between(here: Sequence[Floats], there: Sequence[Floats]) -> tuple[tuple[int, int], Floats]:
    """Compare pictures as they are; both are octaves, finest first, (3, H, W) each.

    Returns by how many pixels ``here`` has moved as a whole since ``there``, down and to the right,
    and what differs once its blocks are moved, too.
    """
    around = moved(here, there)
    side = Motion.still([(x.shape[1], x.shape[2]) for x in here]).side
    motion = searched(here[0], there[0], side, around, PRICE)
    return around, motion.moved(there[0]) - here[0]


def searched(
    truth: Floats, source: Floats, side: int, around: tuple[int, int], price: float
) -> Motion:
    """Return how ``truth`` has moved since ``source``, (3, H, W) both.

    Blocks of ``side`` pixels are looked for ``around`` a movement of the whole picture, in pixels.
    A square has one vector unless its quarters differ less from the source by more than their bytes
    cost, at a ``price`` in mean squared error a byte.
    """
    x, seen = truth.mean(axis=0), source.mean(axis=0)
    candidates = _candidates(around)
    bit = price / 8 * x.size
    lengths = bit * np.array([_bits(down) + _bits(right) for down, right in candidates])
    differences = _differences(x, seen, side, candidates)
    return Motion(_chosen(differences, lengths, np.array(candidates), bit), side)


def _candidates(around: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the vectors to try, in half pixels, the shortest first."""
    ways = range(-2 * REACH, 2 * REACH + 1)
    near = {(2 * around[0] + down, 2 * around[1] + right) for down in ways for right in ways}
    return sorted(near | {(0, 0)}, key=lambda way: (way[0] ** 2 + way[1] ** 2, way))


def _bits(difference: int) -> int:
    return 2 * (2 * abs(difference) + 1).bit_length() - 1


def _differences(x: Floats, source: Floats, side: int, candidates: list[tuple[int, int]]) -> Floats:
    """Return the sum of squared differences of each block for each candidate, (n, h, w)."""
    height, width = x.shape
    rows, columns = -(-height // side), -(-width // side)
    far = max(max(abs(down), abs(right)) for down, right in candidates) // 2 + 2
    wide = np.pad(source, far, mode="edge")
    # The source at the four phases of half pixels: half a pixel up and to the left.
    half = np.float32(0.5)
    up = half * (wide + np.roll(wide, 1, axis=0))
    phases: dict[tuple[int, int], Floats] = {
        (0, 0): wide,
        (1, 0): up,
        (0, 1): half * (wide + np.roll(wide, 1, axis=1)),
        (1, 1): half * (up + np.roll(up, 1, axis=1)),
    }
    result = np.empty((len(candidates), rows, columns), np.float32)
    padded = np.zeros((rows * side, columns * side), np.float32)
    for index, (down, right) in enumerate(candidates):
        phase = phases[down % 2, right % 2]
        top, left = far - down // 2, far - right // 2
        np.square(x - phase[top : top + height, left : left + width], out=padded[:height, :width])
        result[index] = padded.reshape(rows, side, columns, side).sum(axis=(1, 3))
    return result


def _chosen(
    differences: Floats, lengths: NDArray[np.float64], candidates: NDArray[np.int_], bit: float
) -> NDArray[np.int32]:
    """Return the vectors, (2, h, w), that cost least.

    Squares are decided on from the smallest to the largest: one vector, or the quarters' own.
    """
    height, width = differences.shape[1:]
    sums = differences
    costs = np.zeros((height, width))
    levels: list[tuple[NDArray[np.bool_], NDArray[np.intp]]] = []
    for level in range((max(height, width) - 1).bit_length() + 1):
        if level:
            sums, costs = _quarters(sums), _quarters(costs[None])[0]
        alone = sums + lengths[:, None, None]
        best = alone.argmin(axis=0)
        one = np.take_along_axis(alone, best[None], axis=0)[0] + (bit if level else 0.0)
        whole = (one <= costs + bit) if level else np.ones(one.shape, np.bool_)
        costs = np.where(whole, one, costs + bit)
        levels.append((whole, best))
    vectors = np.zeros((2, height, width), np.int32)
    decided = np.zeros((height, width), np.bool_)
    for level in reversed(range(len(levels))):
        whole, best = levels[level]
        rows, columns = np.arange(height) >> level, np.arange(width) >> level
        here = whole[rows[:, None], columns] & ~decided
        vectors[:, here] = candidates[best[rows[:, None], columns][here]].T
        decided |= here
    return vectors


def _quarters(sums: NDArray[np.floating]) -> NDArray[np.floating]:
    """Sum up the values of 2x2 squares, (n, h, w)."""
    odd = ((0, 0), (0, sums.shape[1] % 2), (0, sums.shape[2] % 2))
    even = np.pad(sums, odd)
    total: NDArray[np.floating] = (
        even[:, ::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, ::2] + even[:, 1::2, 1::2]
    )
    return total
