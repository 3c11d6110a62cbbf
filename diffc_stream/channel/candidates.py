"""Candidates: random vectors from the prior N(0, (1 + v) I) that both ends can draw by themselves.

Each candidate can be drawn without the others.  Candidate i of chunk c in step s of a stream
consists of the words that Philox returns for the counters (block, s, c, i), four values a block.
The top 24 bits of each word pick two entries a and b from the table of normals
(:func:`~diffc_stream.channel.randomness.normal_table`), and a value is the integer

    z = 4096 (3 a + 4 b)        |z| < 2^17, variance (5 * 4096)^2

times :func:`unit`.  It takes two normals instead of one because the candidates that a sender picks
are often far out: z reaches to 5.1 sigma instead of 3.7.  It has 145,703 different values and a
kurtosis of 2.995, and its distribution function is within 5e-5 of a normal's; goodness-of-fit tests
need some 10^9 samples to see the difference.  (With weights of 1 and 1 instead of 3 and 4, the
value 0 would be drawn once in 4,096.)
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel.randomness import Purpose, normal_table, philox
from diffc_stream.channel.simulator import Address

Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

Scores = Callable[[Address, int, range, Doubles], tuple[Doubles, Doubles]]
"""A function from address, chunk, candidate numbers and a vector to the products of the vector with
these candidates, and to their squares."""

_WEIGHTS = (3, 4)
_LENGTH = 5
_GRID = 4096
_WORTH_COMPILING = 2**27


def unit(v: float) -> float:
    """Return the factor from a candidate's integers to its values: sqrt(1 + v) / 20480.

    It is a float32, the same on every machine.  ``v`` is at least 0.
    """
    return float(np.float32(np.sqrt(1.0 + v) / (_LENGTH * _GRID)))


def draw(address: Address, chunks: Integers, numbers: Integers, lanes: range) -> Doubles:
    """Return integers of one candidate for each chunk, shape (len(chunks), len(lanes)).

    ``numbers`` are the candidates' numbers.  ``lanes`` says which of their values to return; it
    starts at a multiple of 4.
    """
    blocks = np.arange(lanes.start // 4, -(-lanes.stop // 4))
    counters = np.empty((len(numbers), len(blocks), 4), np.uint32)
    counters[:, :, 0] = blocks
    counters[:, :, 1] = address.step
    counters[:, :, 2] = chunks[:, None]
    counters[:, :, 3] = numbers[:, None]
    words = philox((address.seed, int(Purpose.CANDIDATES)), counters.reshape(-1, 4)).reshape(-1)
    large, small = _tables()
    drawn: Doubles = large[words >> np.uint32(20)]
    drawn += small[words >> np.uint32(8) & np.uint32(0xFFF)]
    cut: Doubles = drawn.reshape(len(numbers), -1)[:, : len(lanes)]
    return cut


def scores(address: Address, chunk: int, numbers: range, part: Doubles) -> tuple[Doubles, Doubles]:
    """Return <part, z> and |z|^2 for candidates z of a chunk, both of shape (len(numbers),).

    ``part`` has shape (width,).
    """
    these = np.arange(numbers.start, numbers.stop)
    drawn = draw(address, np.full(len(these), chunk), these, range(len(part)))
    return drawn @ part, np.einsum("ij,ij->i", drawn, drawn)


def scorer(values: int) -> Scores:
    """Return :func:`scores`, or its compiled form if that is available and pays off.

    It pays off if there are many ``values`` to draw.  Both forms give the same results for vectors
    on a grid that is coarse enough for sums to be exact.
    """
    return (compiled_scores() if values >= _WORTH_COMPILING else None) or scores


def exponentials(address: Address, chunk: int, numbers: range) -> Doubles:
    """Return the gap in time before each candidate in ``numbers``: exponential, of mean 1."""
    blocks = np.arange(numbers.start // 4, (numbers.stop - 1) // 4 + 1)
    counters = np.zeros((len(blocks), 4), np.uint32)
    counters[:, 0] = blocks
    counters[:, 1] = address.step
    counters[:, 2] = chunk
    drawn = philox((address.seed, int(Purpose.ARRIVALS)), counters).reshape(-1)
    drawn = drawn[numbers.start % 4 :][: len(numbers)]
    gaps: Doubles = -np.log((drawn + 0.5) / 2.0**32)
    return gaps


@cache
def compiled_scores() -> Scores | None:
    """Return :func:`scores` as machine code, ten times as fast, or None without numba."""
    try:
        import numba
    except ImportError:
        return None
    loop = numba.njit(nogil=True)(_score_loop)

    def compiled(
        address: Address, chunk: int, numbers: range, part: Doubles
    ) -> tuple[Doubles, Doubles]:
        key = (np.uint64(address.seed), np.uint64(int(Purpose.CANDIDATES)))
        place = (np.uint64(address.step), np.uint64(chunk))
        products, squares = np.zeros(len(numbers)), np.zeros(len(numbers))
        loop(key, place, np.uint64(numbers.start), part, *_tables(), products, squares)
        return products, squares

    return compiled


@cache
def _tables() -> tuple[Doubles, Doubles]:
    normals = (normal_table() * np.float32(_GRID)).astype(np.float64)
    return _WEIGHTS[0] * normals, _WEIGHTS[1] * normals


def _score_loop(
    key: tuple[np.uint64, np.uint64],
    place: tuple[np.uint64, np.uint64],
    first: np.uint64,
    part: Doubles,
    large: Doubles,
    small: Doubles,
    products: Doubles,
    squares: Doubles,
) -> None:
    """Add to ``products`` and ``squares``: Philox as in ``randomness``, written for numba.

    All constants are unsigned, because numba turns mixtures of signed and unsigned integers into
    floats.
    """
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    left, right = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
    weyl_0, weyl_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
    high_place, low_place, mask = np.uint64(20), np.uint64(8), np.uint64(0xFFF)
    width = len(part)
    for i in range(len(products)):
        product, square = 0.0, 0.0
        for block in range((width + 3) // 4):
            c0, c1, c2, c3 = np.uint64(block), place[0], place[1], first + np.uint64(i)
            k0, k1 = key
            for _ in range(10):
                p0, p1 = c0 * left, c2 * right
                c0, c1 = (p1 >> half) ^ c1 ^ k0, p1 & low
                c2, c3 = (p0 >> half) ^ c3 ^ k1, p0 & low
                k0, k1 = (k0 + weyl_0) & low, (k1 + weyl_1) & low
            for lane in range(min(4, width - 4 * block)):
                word = c0 if lane == 0 else c1 if lane == 1 else c2 if lane == 2 else c3
                z = large[word >> high_place] + small[word >> low_place & mask]
                product += z * part[4 * block + lane]
                square += z * z
        products[i] = product
        squares[i] = square
