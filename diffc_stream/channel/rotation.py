"""Spread an error evenly over its dimensions, by a rotation that both ends know.

Reverse channel coding cuts an error into slices and spends the same bits on each, so every slice
should carry the same energy, wherever the picture's edges are.  A random permutation, sign flips,
a blockwise Walsh-Hadamard transform and more sign flips see to that.  Prior and posterior of a
step are isotropic normals around the prediction, and rotating an isotropic normal changes nothing.

The flips before the transform spread what is smooth.  Those after it matter to what is not: one
value that stands out would become a row of the Hadamard matrix, and such regular signs may be a
codeword of the trellis, which would find them whole in a few bits and tell the receiver too much.

The permutation is i -> (a i + b) mod D with a coprime to D, near D times the golden ratio, so
that neighbours land far apart.  Blocks have 1,024 dimensions; the tail that does not fill one is
cut into smaller powers of two.
"""

from __future__ import annotations

from functools import cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel.randomness import Purpose, signs, words

Floats = NDArray[np.float32]

_BLOCK_BITS = 10
_GOLDEN = (618_034, 1_000_000)


class Rotation:
    """The rotation of ``dims`` dimensions at ``address`` (the step's number) of stream ``seed``."""

    def __init__(self, dims: int, *, seed: int, address: int) -> None:
        draw = words(seed, Purpose.ROTATION, 2 * address, 2)
        multiplier = max(1, dims * _GOLDEN[0] // _GOLDEN[1] - int(draw[0]) % max(1, dims // 64))
        while gcd(multiplier, dims) != 1:
            multiplier += 1
        offset = int(draw[1]) % dims
        self.origin = (np.arange(dims, dtype=np.int64) * multiplier + offset) % dims
        """Where the values stood that are transformed: shape (D,), a permutation."""
        flips = signs(seed, Purpose.ROTATION, 2 * address + 1, 2 * dims)
        self._before, self._after = flips[:dims], flips[dims:]

    def forward(self, x: Floats) -> Floats:
        """Rotate ``x``, shape (D,)."""
        mixed: Floats = x[self.origin]
        mixed *= self._before
        rotated = _walsh_hadamard(mixed)
        rotated *= self._after
        return rotated

    def inverse(self, y: Floats) -> Floats:
        """Rotate back: ``inverse(forward(x))`` is ``x`` up to rounding."""
        mixed = _walsh_hadamard(y * self._after)
        mixed *= self._before
        x = np.empty_like(mixed)
        x[self.origin] = mixed
        return x


def _walsh_hadamard(x: Floats) -> Floats:
    """Apply the orthonormal Walsh-Hadamard transform, its own inverse, block by block."""
    result = np.empty_like(x)
    start = 0
    for bits in range(_BLOCK_BITS, -1, -1):
        size = 2**bits
        count = (len(x) - start) // size
        if count:
            # The transform of 2^(m+n) points is that of 2^m times that of 2^n: two small matrix
            # products instead of m + n passes over memory.
            left, right = _hadamard(bits // 2), _hadamard(bits - bits // 2)
            stop = start + count * size
            block = x[start:stop].reshape(count, len(left), len(right))
            result[start:stop] = np.matmul(left, block @ right).reshape(-1)
            start = stop
    return result


@cache
def _hadamard(bits: int) -> Floats:
    matrix = np.ones((1, 1))
    for _ in range(bits):
        matrix = np.block([[matrix, matrix], [matrix, -matrix]]) / np.sqrt(2.0)
    return matrix.astype(np.float32)
