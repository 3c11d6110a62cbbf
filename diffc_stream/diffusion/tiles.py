"""Large pictures, tile by tile: the same values in bounded memory.

A pixel of what a network computes depends on pixels as far away as its convolutions reach
(:attr:`~diffc_stream.diffusion.architecture.Architecture.halo`) and on no others.  So a picture
may be cut into tiles, each evaluated with a margin that wide, which is thrown away: there the
network saw the zeros of its padding where the picture goes on.  At the border of the picture there
is no margin, and the padding is where it always was.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import inf

LARGEST = 5_000_000
"""A tile has at most so many pixels, margins included.

They take a gigabyte in ONNX Runtime and three in PyTorch.  Larger tiles would save at most a tenth
of the time, which is what the margins cost a picture of 24 megapixels (docs/decisions/0025).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A tile's extent in one dimension, in pixels of the picture."""

    seen: slice
    """What is evaluated: aligned, but for the end of the picture."""
    kept: slice
    """What is kept of it."""

    @property
    def within(self) -> slice:
        """Where in what is seen that is."""
        return slice(self.kept.start - self.seen.start, self.kept.stop - self.seen.start)


Tile = tuple[Span, Span]
"""Rows and columns."""


def grid(
    height: int, width: int, *, multiple: int, halo: int, largest: int = LARGEST
) -> list[Tile]:
    """Return tiles that cover a picture of ``height`` x ``width`` once, row by row.

    None has more than ``largest`` pixels, padding included.  Tiles begin at multiples of
    ``multiple``, of which ``halo`` is one.  Of all such grids it is the one of the fewest pixels to
    evaluate.  Where there is none, or no need for one, the one tile is the whole picture.
    """
    rows, columns = _divided(height, width, multiple, halo, largest)
    across = _spans(width, columns, multiple, halo)
    return [(down, span) for down in _spans(height, rows, multiple, halo) for span in across]


@lru_cache(maxsize=64)
def _divided(height: int, width: int, multiple: int, halo: int, largest: int) -> tuple[int, int]:
    """Return into how many rows and columns to cut."""
    best, least = (1, 1), inf
    if _most(height, 1, multiple, halo) * _most(width, 1, multiple, halo) <= largest:
        return best
    columns = -(-width // multiple)
    for rows in range(1, -(-height // multiple) + 1):
        tall = _most(height, rows, multiple, halo)
        if tall * _most(width, columns, multiple, halo) > largest:
            continue
        # As few as will do; with more rows it is never more.
        while columns > 1 and tall * _most(width, columns - 1, multiple, halo) <= largest:
            columns -= 1
        total = _total(height, rows, halo) * _total(width, columns, halo)
        if total < least:
            best, least = (rows, columns), total
        if columns == 1:
            break
    return best


def _spans(side: int, count: int, multiple: int, halo: int) -> list[Span]:
    blocks = -(-side // multiple)
    borders = [min(side, blocks * i // count * multiple) for i in range(count + 1)]
    return [
        Span(
            seen=slice(max(0, borders[i] - halo), min(side, borders[i + 1] + halo)),
            kept=slice(borders[i], borders[i + 1]),
        )
        for i in range(count)
    ]


def _most(side: int, count: int, multiple: int, halo: int) -> int:
    """Return the longest side that is evaluated if ``side`` is cut into ``count`` spans."""
    blocks = -(-side // multiple)
    return min(blocks, -(-blocks // count) + min(count - 1, 2) * (halo // multiple)) * multiple


def _total(side: int, count: int, halo: int) -> int:
    """Return about how much is evaluated in all if ``side`` is cut into ``count`` spans."""
    return side + 2 * (count - 1) * halo
