"""How far a reference is trusted: for each scale of the picture, and for each of its cells.

The differences between a reference and the picture are taken for noise that is independent of the
picture, with one variance for each scale of the Haar transform.  In the cells that have changed,
the reference is not used at all.

    trust  = code:u8 ... code:u8 [changed]

There is a code for the detail of each scale, the finest first, and one for the coarsest octave,
which is the low band that remains.  With a the code's high half and b its low half, values of that
band have the variance V = 2^(2 - a), and the reference's differences from them v = 2^(1 - b) V.
b = 0 means that the reference says nothing of this scale.

Cells are the pixels of octave 5, squares of 32 pixels, or those of the coarsest octave if there are
fewer octaves.  ``changed`` is a tree of bits, the highest bit of a byte first, zeros at the end: a
bit says whether anything has changed in a square of cells, from the one that contains all, whose
side is a power of two, downwards.  After a 1 follow the square's quarters, row by row, without
those beyond the border; a single cell has none.  If nothing has changed, the tree may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray

from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.squares import levels, quarters

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

CELL_OCTAVE = 5
_SPREAD = 0.57
"""Error of a denoiser's estimate over that of an estimate of each value by itself, on photographs
(as in :mod:`~diffc_stream.codec.forecast`)."""
_LARGEST = 2
"""Binary logarithm of the largest variance that a code can state."""
_HALF = 15
"""The largest value of half a code."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What a code says of a scale."""

    variance: float
    """Variance of the picture's values."""
    difference: float | None
    """Variance of the reference's differences from them; None if it says nothing of them."""

    @classmethod
    def by(cls, code: int) -> Stated:
        """Return what ``code``, 0 to 255, says."""
        variance, low = 2.0 ** (_LARGEST - (code >> 4)), code & 0x0F
        return cls(variance, variance * 2.0 ** (1 - low) if low else None)

    def own(self, precision: float) -> float:
        """Return the error per value of the denoiser's estimate, observed with ``precision``."""
        return _SPREAD * self.variance / (1 + precision * self.variance)

    def weight(self, precision: float) -> float:
        """Return the reference's weight in the best estimate, 0 to below 1.

        The other part is the denoiser's estimate from an observation of ``precision``.  Both are
        weighted by the inverse of their variance.
        """
        if self.difference is None:
            return 0.0
        own = self.own(precision)
        return own / (own + self.difference)


@dataclass(frozen=True, slots=True, eq=False)
class Trust:
    """How far a reference describes a picture whose octaves have ``sizes``, finest first."""

    codes: tuple[int, ...]
    """A code, 0 to 255, for each scale of detail, finest first, and one for the low band."""
    changed: Mask
    """The cells in which the reference is of no use, (h, w)."""
    sizes: tuple[octaves.Size, ...]

    def encode(self) -> bytes:
        """Return the trust's bytes in a header."""
        return bytes(self.codes) + (_packed(_tree(self.changed)) if self.changed.any() else b"")

    @classmethod
    def parse(cls, data: bytes, sizes: Sequence[octaves.Size]) -> Trust:
        """Return what ``data`` says.  Raises ValueError if it is too short or too long."""
        codes, rest = data[: len(sizes)], data[len(sizes) :]
        if len(codes) < len(sizes):
            raise ValueError(f"{len(data)} bytes of trust for {len(sizes)} scales")
        return cls(tuple(codes), _read(rest, cells(sizes)), tuple(sizes))

    def variance(self, scale: int) -> float:
        """Return the variance of the picture's values at ``scale``."""
        return Stated.by(self.codes[scale]).variance

    def difference(self, scale: int) -> float | None:
        """Return the variance of the reference's differences there, None if it says nothing."""
        return Stated.by(self.codes[scale]).difference

    def weight(self, scale: int, precision: float) -> Floats:
        """Return the reference's weight in each place of a band, (h, w): see :class:`Stated`."""
        weight = Stated.by(self.codes[scale]).weight(precision)
        return self.trusted(scale) * np.float32(weight)

    def missing(self, scale: int) -> float:
        """Return the expected energy per value of what the reference leaves open at ``scale``."""
        variance, difference = self.variance(scale), self.difference(scale)
        if difference is None:
            return variance
        trusted = float(self.trusted(scale).mean())
        return variance * (1 - trusted * variance / (variance + difference))

    def trusted(self, scale: int) -> Floats:
        """Return 1 where the reference is of use in a band and 0 elsewhere, (h, w)."""
        octave = min(scale + 1, len(self.sizes) - 1)
        cell = cell_octave(self.sizes)
        height, width = self.sizes[octave]
        if octave > cell:
            return 1 - _any(self.changed, octave - cell).astype(np.float32)
        side = 2 ** (cell - octave)
        large = np.repeat(np.repeat(self.changed, side, axis=0), side, axis=1)
        return 1 - large[:height, :width].astype(np.float32)


def code(variance: float, difference: float) -> int:
    """Return the code for values of ``variance`` and differences of a variance ``difference``."""
    high = min(max(round(_LARGEST - log2(max(variance, 1e-9))), 0), _HALF)
    stated = 2.0 ** (_LARGEST - high)
    low = round(1 - log2(min(max(difference, 1e-9), 1e9) / stated))
    return high << 4 | min(max(low, 0), _HALF)


def cell_octave(sizes: Sequence[octaves.Size]) -> int:
    """Return the octave whose pixels are the cells."""
    return min(CELL_OCTAVE, len(sizes) - 1)


def cells(sizes: Sequence[octaves.Size]) -> octaves.Size:
    """Return the numbers of rows and columns of cells."""
    return sizes[cell_octave(sizes)]


def _any(cells: Mask, times: int) -> Mask:
    """Halve ``cells`` several times: a cell is set if any of its four was."""
    for _ in range(times):
        rows, columns = cells.shape[0] // 2, cells.shape[1] // 2
        halved = cells[::2, ::2].copy()
        halved[:, :columns] |= cells[::2, 1::2]
        halved[:rows] |= cells[1::2, ::2]
        halved[:rows, :columns] |= cells[1::2, 1::2]
        cells = halved
    return cells


def _tree(changed: Mask) -> Iterator[bool]:
    """Yield the bits of the tree."""
    size = changed.shape[0], changed.shape[1]
    squares = [changed]
    for _ in range(levels(size)):
        squares.append(_any(squares[-1], 1))
    bits = [cells.tolist() for cells in squares]
    waiting = [(levels(size), 0, 0)]
    while waiting:
        level, row, column = square = waiting.pop()
        bit: bool = bits[level][row][column]
        yield bit
        if bit and level:
            waiting.extend(reversed(quarters(square, size)))


def _read(data: bytes, size: octaves.Size) -> Mask:
    """Return the cells that a tree names.  Raises ValueError if it does not fit."""
    changed = np.zeros(size, np.bool_)
    if not data:
        return changed
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    place = 0
    waiting = [(levels(size), 0, 0)]
    while waiting:
        level, row, column = square = waiting.pop()
        if place == bits.size:
            raise ValueError("what has changed is told only in part")
        bit, place = bool(bits[place]), place + 1
        if bit and level:
            waiting.extend(reversed(quarters(square, size)))
        elif bit:
            changed[row, column] = True
    if bits.size - place >= 8 or bits[place:].any():
        raise ValueError("something follows what has changed")
    return changed


def _packed(bits: Iterator[bool]) -> bytes:
    return np.packbits(np.fromiter(bits, np.bool_)).tobytes()
