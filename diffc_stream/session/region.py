"""A part of a picture that the receiver wants before the rest: what OPEN says of it.

The part is named in cells of CELL x CELL pixels, so that wishes that hardly differ are one; cells
at the right and at the bottom end where the picture does.  Its stream is a stream of its own, which
starts from the bytes of the picture's stream that the receiver holds (see "The picture to start
from" in docs/format.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from diffc_stream.session.fields import Hex, Integer

CELL = 32
"""Pixels of the side of a cell."""
MOST_CELLS = 2048
"""So many cells hold the longest side of a picture."""

Rectangle = tuple[int, int, int, int]
"""Left, top, width and height of a part of a picture, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A part of a picture, and what the receiver holds of the whole."""

    left: Annotated[int, Integer(0, MOST_CELLS - 1)]
    """Cells to the left of it."""
    top: Annotated[int, Integer(0, MOST_CELLS - 1)]
    """Cells above it."""
    width: Annotated[int, Integer(1, MOST_CELLS)]
    """Cells in a row of it."""
    height: Annotated[int, Integer(1, MOST_CELLS)]
    """Cells in a column of it."""
    size: Annotated[int, Integer(1, 2**26)]
    """Bytes of the picture's own stream that the receiver holds, which the region starts from."""
    digest: Annotated[str, Hex(16)]
    """The first 8 bytes of their SHA-256."""

    def within(self, width: int, height: int) -> Rectangle | None:
        """Return the region's pixels in a picture of this size; None if it reaches beyond it."""
        columns, rows = -(-width // CELL), -(-height // CELL)
        if self.left + self.width > columns or self.top + self.height > rows:
            return None
        left, top = CELL * self.left, CELL * self.top
        right = min(width, left + CELL * self.width)
        bottom = min(height, top + CELL * self.height)
        return left, top, right - left, bottom - top


def covering(rectangle: Rectangle, width: int, height: int) -> Rectangle | None:
    """Return the cells that a rectangle touches in a picture of ``width`` x ``height`` pixels.

    None if it is not a part of the picture.
    """
    left, top, columns, rows = rectangle
    if left < 0 or top < 0 or columns < 1 or rows < 1:
        return None
    if left + columns > width or top + rows > height:
        return None
    right, bottom = -(-(left + columns) // CELL), -(-(top + rows) // CELL)
    return left // CELL, top // CELL, right - left // CELL, bottom - top // CELL
