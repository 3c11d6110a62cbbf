"""Shared randomness: random numbers that both ends of a stream can draw by themselves.

They have to be the same on any device, in any language and in any order.  So they are a pure
function of an address: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
SC 2011) maps (key, counter) to four 32-bit words in integer arithmetic alone, and a table of 4,096
quantiles, rounded to multiples of 2^-12, maps 12 bits of a word to a normally distributed value.
The generators of NumPy or torch are not used, because their values differ between devices and
versions.

    key     = (seed, purpose)
    counter = (block, address, 0, 0), four words a block
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)

_PIECE = 2**18
_TABLE_BITS = 12
_GRID = 4096


class Purpose(IntEnum):
    """What random words are for.  It is part of the key, so that no two uses share words."""

    CODEBOOK = 1
    ROTATION = 2
    RENDERING = 3
    CANDIDATES = 4
    ARRIVALS = 5
    DITHER = 6


def philox(key: tuple[int, int], counters: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return Philox4x32-10 of every counter.

    ``key`` is two 32-bit integers, ``counters`` and the result have shape (N, 4), uint32.
    """
    c0, c1, c2, c3 = (counters[:, i].astype(np.uint64) for i in range(4))
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            (p1 >> _HALF) ^ c1 ^ np.uint64(k0),
            p1 & _LOW,
            (p0 >> _HALF) ^ c3 ^ np.uint64(k1),
            p0 & _LOW,
        )
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


def words(
    seed: int, purpose: Purpose, address: int, count: int, *, first: int = 0
) -> NDArray[np.uint32]:
    """Return ``count`` random words at ``address`` from word ``first`` on, uint32, (count,)."""
    blocks = np.arange(first // 4, -(-(first + count) // 4), dtype=np.uint32)
    counters = np.zeros((len(blocks), 4), np.uint32)
    counters[:, 0] = blocks
    counters[:, 1] = address
    return philox((seed, int(purpose)), counters).reshape(-1)[first % 4 :][:count]


def signs(
    seed: int, purpose: Purpose, address: int, count: int, *, first: int = 0
) -> NDArray[np.float32]:
    """Return ``count`` random signs from sign ``first`` on: +1 or -1, (count,).

    They are the bits of the words at ``address``, lowest bit first.
    """
    before = first % 32
    needed = -(-(before + count) // 32)
    packed = words(seed, purpose, address, needed, first=first // 32).astype("<u4").view(np.uint8)
    bits = np.unpackbits(packed, count=before + count, bitorder="little")[before:]
    return (1 - 2 * bits.view(np.int8)).astype(np.float32)


def normals(seed: int, purpose: Purpose, address: int, count: int) -> NDArray[np.float32]:
    """Return ``count`` standard normals; the top 12 bits of each word pick a table entry."""
    drawn = np.empty(count, np.float32)
    table = normal_table()
    # Piece by piece, because computing the words takes ten times their memory.
    for first in range(0, count, _PIECE):
        piece = drawn[first : first + _PIECE]
        index = words(seed, purpose, address, len(piece), first=first)
        index >>= np.uint32(32 - _TABLE_BITS)
        np.take(table, index, out=piece)
    return drawn


@cache
def normal_table() -> NDArray[np.float32]:
    """Return the 4,096 mid-quantiles of a normal, scaled to unit variance, on the grid 2^-12.

    The values are multiples of 2^-12, hence exact in float32.  They are the same everywhere: no
    quantile lies within 1e-6 grid steps of a rounding boundary (a test checks that), so that the
    last bit of a platform's logarithm does not matter.
    """
    exact = quantiles()
    table = (np.round(exact * _GRID) / _GRID).astype(np.float32)
    table.flags.writeable = False
    return table


def quantiles() -> NDArray[np.float64]:
    """Return the table before rounding; ascending and antisymmetric."""
    size = 2**_TABLE_BITS
    upper = np.array([NormalDist().inv_cdf((i + 0.5) / size) for i in range(size // 2, size)])
    upper /= np.sqrt(np.mean(upper**2))
    return np.concatenate([-upper[::-1], upper])
