"""Evaluate large pictures tile by tile: the same values, in bounded memory.

A pixel of a network's output depends only on pixels within reach of its convolutions
(:attr:`~diffc_stream.diffusion.architecture.Architecture.halo`).  So a picture may be cut into
tiles that are evaluated with a margin of that width.  The results in the margin are thrown away,
because there the network saw the zeros of its padding instead of the rest of the picture.  Tiles at
the border of the picture have no margin there, and the padding is where it would be without tiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import inf

LARGEST = 5_000_000
"""Most pixels of a tile, including its margins.

They take a gigabyte in ONNX Runtime and three in PyTorch.  Larger tiles would save at most a tenth
of the time, which is what the margins cost a picture of 24 megapixels (docs/decisions/0025).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A tile's extent in one dimension, in pixels of the picture."""

    seen: slice
    """The part that is evaluated.  It is aligned, except at the end of the picture."""
    kept: slice
    """The part whose result is kept."""

    @property
    def within(self) -> slice:
        """The place of ``kept`` within ``seen``."""
        return slice(self.kept.start - self.seen.start, self.kept.stop - self.seen.start)


Tile = tuple[Span, Span]
"""The rows and the columns of a tile."""


def grid(
    height: int, width: int, *, multiple: int, halo: int, largest: int = LARGEST
) -> list[Tile]:
    """Return tiles that cover a picture of ``height`` x ``width`` once, row by row.

    No tile has more than ``largest`` pixels, including padding.  Tiles begin at multiples of
    ``multiple``; ``halo`` is such a multiple.  Of all such grids this is the one with the fewest
    pixels to evaluate.  If there is no such grid, or no need for one, the only tile is the whole
    picture.
    """
    rows, columns = _divided(height, width, multiple, halo, largest)
    across = _spans(width, columns, multiple, halo)
    return [(down, span) for down in _spans(height, rows, multiple, halo) for span in across]


@lru_cache(maxsize=64)
def _divided(height: int, width: int, multiple: int, halo: int, largest: int) -> tuple[int, int]:
    """Return the number of rows and columns of tiles."""
    best, least = (1, 1), inf
    if _most(height, 1, multiple, halo) * _most(width, 1, multiple, halo) <= largest:
        return best
    columns = -(-width // multiple)
    for rows in range(1, -(-height // multiple) + 1):
        tall = _most(height, rows, multiple, halo)
        if tall * _most(width, columns, multiple, halo) > largest:
            continue
        # As few columns as possible.  With more rows it never takes more columns.
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
    """Return about how many pixels are evaluated in all if ``side`` is cut into ``count`` spans."""
    return side + 2 * (count - 1) * halo
