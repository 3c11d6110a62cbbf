"""Spread an error evenly over its dimensions, by a random rotation that both ends know.

Reverse channel coding cuts an error into slices and spends the same number of bits on each, so
every slice should carry the same energy, wherever the picture has its edges.  The rotation takes
care of that: it is a random permutation, then sign flips, a blockwise Walsh-Hadamard transform, and
more sign flips.  It does no harm, because prior and posterior of a step are isotropic normal
distributions around the prediction, which look the same after any rotation.

The flips before the transform spread smooth errors.  Those after it are for errors that are zero
almost everywhere: the transform turns a single value into a row of the Hadamard matrix, and signs
that regular may be a codeword of the trellis.  The search would find it whole in a few bits, and
the receiver would learn more than the step says.

The permutation is i -> (a i + b) mod D with a coprime to D and near D times the golden ratio, so
that neighbours land far apart.  Blocks have 1,024 dimensions; a tail that does not fill one is cut
into smaller powers of two.
"""

from __future__ import annotations

from functools import cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel.randomness import Purpose, signs, words

Floats = NDArray[np.float32]

_BLOCK_BITS = 10
_PIECE = 2**18
"""Values rotated at a time: a multiple of the largest block, few enough for a core's cache."""
_GOLDEN = (618_034, 1_000_000)


class Rotation:
    """The rotation of ``dims`` dimensions at ``address`` (the step's number) of stream ``seed``.

    Permutation and flips are computed while they are applied, piece by piece.  A picture of 24
    megapixels has 72 million dimensions, and tables of them would take several times its memory.
    """

    def __init__(self, dims: int, *, seed: int, address: int) -> None:
        draw = words(seed, Purpose.ROTATION, 2 * address, 2)
        multiplier = max(1, dims * _GOLDEN[0] // _GOLDEN[1] - int(draw[0]) % max(1, dims // 64))
        while gcd(multiplier, dims) != 1:
            multiplier += 1
        self._dims, self._seed, self._address = dims, seed, 2 * address + 1
        self._multiplier = multiplier
        self._offset = int(draw[1]) % dims
        self._strides = np.arange(min(dims, _PIECE), dtype=np.int64) * multiplier % dims

    def origins(self, first: int, count: int) -> NDArray[np.int64]:
        """Return the places before the permutation of values ``first`` to ``first + count`` after.

        ``count`` is at most 2^18.
        """
        places: NDArray[np.int64] = self._strides[:count] + (
            (first * self._multiplier + self._offset) % self._dims
        )
        np.subtract(places, self._dims, out=places, where=places >= self._dims)
        return places

    def forward(self, x: Floats) -> Floats:
        """Rotate ``x``, shape (D,)."""
        rotated = np.empty_like(x)
        for first in range(0, self._dims, _PIECE):
            piece = rotated[first : first + _PIECE]
            mixed = x[self.origins(first, len(piece))]
            mixed *= self._before(first, len(piece))
            _walsh_hadamard(mixed, piece)
            piece *= self._after(first, len(piece))
        return rotated

    def inverse(self, y: Floats) -> Floats:
        """Rotate back: ``inverse(forward(x))`` is ``x`` up to rounding."""
        x = np.empty_like(y)
        for first in range(0, self._dims, _PIECE):
            piece = y[first : first + _PIECE]
            mixed = np.empty_like(piece)
            _walsh_hadamard(piece * self._after(first, len(piece)), mixed)
            mixed *= self._before(first, len(piece))
            x[self.origins(first, len(piece))] = mixed
        return x

    def _before(self, first: int, count: int) -> Floats:
        return signs(self._seed, Purpose.ROTATION, self._address, count, first=first)

    def _after(self, first: int, count: int) -> Floats:
        return signs(self._seed, Purpose.ROTATION, self._address, count, first=self._dims + first)


def _walsh_hadamard(x: Floats, result: Floats) -> None:
    """Apply the orthonormal Walsh-Hadamard transform, its own inverse, block by block."""
    start = 0
    for bits in range(_BLOCK_BITS, -1, -1):
        size = 2**bits
        count = (len(x) - start) // size
        if count:
            # The transform of 2^(m+n) points is the product of those of 2^m and of 2^n points: two
            # small matrix products instead of m + n passes over memory.
            left, right = _hadamard(bits // 2), _hadamard(bits - bits // 2)
            stop = start + count * size
            block = x[start:stop].reshape(count, len(left), len(right))
            result[start:stop] = np.matmul(left, block @ right).reshape(-1)
            start = stop


@cache
def _hadamard(bits: int) -> Floats:
    matrix = np.ones((1, 1))
    for _ in range(bits):
        matrix = np.block([[matrix, matrix], [matrix, -matrix]]) / np.sqrt(2.0)
    return matrix.astype(np.float32)
