"""How the places of a picture have moved since another one: vectors, for each block.

    motion = node               bits, the highest of a byte first, zeros at the end
    node   = 0 vector | 1 node{1,4}
    vector = difference difference      down and to the right

Blocks are the pixels of octave 4, squares of 16 pixels, or those of the coarsest octave if there
are fewer octaves.  The tree begins with the smallest square that contains all blocks and whose side
is a power of two.  A 0 says that one vector holds in all of a square; after a 1 follow its
quarters, row by row, without those beyond the border; of a single block there is no such bit.
Vectors are in half pixels, and are told by their differences from the vector told before, at first
from (0, 0).  A difference d is the number 2 |d| - (d > 0), plus one, in Elias's gamma code.

A picture moved by a motion is, at every pixel, the mean of four: what the vectors of the four
nearest blocks bring there, weighted by how near their middles are (overlapped block motion
compensation, Orchard and Sullivan 1994).  Half pixels are interpolated linearly, and borders
repeat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.squares import levels, quarters

Floats = NDArray[np.float32]
Vectors = NDArray[np.int32]

BLOCK_OCTAVE = 4
MOST_MOVED = 4095
"""The farthest that a block moves, in half pixels, either way."""
_LONGEST = 14
"""Most zeros before the one of a number."""


def block_octave(sizes: Sequence[octaves.Size]) -> int:
    """Return the octave whose pixels are the blocks."""
    return min(BLOCK_OCTAVE, len(sizes) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Where the blocks of a picture come from."""

    vectors: Vectors
    """By how many half pixels each block has moved, (2, h, w), down and to the right."""
    side: int
    """Pixels of a block's sides."""

    @classmethod
    def still(cls, sizes: Sequence[octaves.Size]) -> Motion:
        """Return the motion of a picture in which nothing has moved."""
        octave = block_octave(sizes)
        return cls(np.zeros((2, *sizes[octave]), np.int32), 2**octave)

    def encode(self) -> bytes:
        """Return the motion's bytes."""
        return np.packbits(np.fromiter(self._bits(), np.bool_)).tobytes()

    @classmethod
    def parse(cls, data: bytes, sizes: Sequence[octaves.Size]) -> Motion:
        """Return what ``data`` says.  Raises ValueError if it is too short, too long or absurd."""
        still, bits = cls.still(sizes), _Bits(data)
        vectors = still.vectors
        before = np.zeros(2, np.int32)
        for rows, columns in _nodes((vectors.shape[1], vectors.shape[2]), bits):
            before = before + np.array([bits.difference(), bits.difference()], np.int32)
            if np.abs(before).max() > MOST_MOVED:
                raise ValueError("a block moves too far")
            vectors[:, rows, columns] = before[:, None, None]
        bits.end()
        return still

    def moved(self, x: Floats) -> Floats:
        """Return a picture, (3, H, W), moved."""
        if not self.vectors.any():
            return x
        height, width = x.shape[1:]
        top, down = _between(height, self.side)
        left, right = _between(width, self.side)
        total = np.zeros_like(x)
        for rows, below in ((top, 1 - down), (top + 1, down)):
            for columns, beside in ((left, 1 - right), (left + 1, right)):
                row = np.clip(rows, 0, self.vectors.shape[1] - 1)
                column = np.clip(columns, 0, self.vectors.shape[2] - 1)
                vectors = self.vectors[:, row[:, None], column[None]]
                total += np.outer(below, beside).astype(np.float32) * _fetched(x, vectors)
        return total

    def _bits(self) -> Iterator[bool]:
        before = np.zeros(2, np.int32)
        size = self.vectors.shape[1], self.vectors.shape[2]
        waiting = [(levels(size), 0, 0)]
        while waiting:
            level, row, column = square = waiting.pop()
            side = 2**level
            inside = self.vectors[:, row * side :, column * side :][:, :side, :side]
            first = inside[:, 0, 0]
            split = bool((inside != first[:, None, None]).any())
            if level:
                yield split
            if split:
                waiting.extend(reversed(quarters(square, size)))
                continue
            for way in (first - before).tolist():
                yield from _gamma(2 * abs(way) - (way > 0) + 1)
            before = first


def _between(length: int, side: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return, for each pixel of a side, the block whose middle comes before, and how far it is."""
    place = (np.arange(length) + 0.5) / side - 0.5
    before = np.floor(place)
    return before.astype(np.intp), place - before


def _fetched(x: Floats, vectors: Vectors) -> Floats:
    """Return what lies where ``vectors``, (2, H, W) in half pixels, come from."""
    height, width = x.shape[1:]
    doubled = (
        np.clip(2 * np.arange(height)[:, None] - vectors[0], 0, 2 * height - 2),
        np.clip(2 * np.arange(width)[None] - vectors[1], 0, 2 * width - 2),
    )
    (row, below), (column, beside) = (np.divmod(place, 2) for place in doubled)
    under, right = row + below, column + beside
    mean: Floats = x[:, row, column] + x[:, under, column] + x[:, row, right] + x[:, under, right]
    return mean * np.float32(0.25)


def _nodes(size: octaves.Size, bits: _Bits) -> Iterator[tuple[slice, slice]]:
    """Yield the squares that have one vector, as their bits are read."""
    waiting = [(levels(size), 0, 0)]
    while waiting:
        level, row, column = square = waiting.pop()
        if level and bits.bit():
            waiting.extend(reversed(quarters(square, size)))
            continue
        side = 2**level
        yield slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side)


def _gamma(number: int) -> Iterator[bool]:
    length = number.bit_length() - 1
    for place in range(-length, length + 1):
        yield place >= 0 and bool(number >> (length - place) & 1)


class _Bits:
    """Bits that are read one by one.  Reading raises ValueError where there are none."""

    def __init__(self, data: bytes) -> None:
        self._bits: list[int] = np.unpackbits(np.frombuffer(data, np.uint8)).tolist()
        self._place = 0

    def bit(self) -> int:
        if self._place == len(self._bits):
            raise ValueError("a motion is told only in part")
        self._place += 1
        return self._bits[self._place - 1]

    def difference(self) -> int:
        length = 0
        while not self.bit():
            length += 1
            if length > _LONGEST:
                raise ValueError("a block moves too far")
        number = 1
        for _ in range(length):
            number = 2 * number + self.bit()
        number -= 1
        return (number + 1) // 2 if number % 2 else -(number // 2)

    def end(self) -> None:
        rest = self._bits[self._place :]
        if len(rest) >= 8 or any(rest):
            raise ValueError("something follows a motion")
