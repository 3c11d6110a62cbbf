"""Squares divided into quarters, down to single cells: the trees of trust and of motion."""

from __future__ import annotations

from diffc_stream.diffusion import octaves

Square = tuple[int, int, int]
"""Level, row and column: the side is two to the power of the level, and places count in sides."""


def levels(size: octaves.Size) -> int:
    """Return the level of the smallest square that contains rows and columns of cells."""
    return (max(size) - 1).bit_length()


def quarters(square: Square, size: octaves.Size) -> list[Square]:
    """Return the quarters of a square, row by row, without those beyond the border.

    ``size`` is that of all, in cells.
    """
    level, row, column = square
    side = 2 ** (level - 1)
    return [
        (level - 1, below, right)
        for below in (2 * row, 2 * row + 1)
        for right in (2 * column, 2 * column + 1)
        if below * side < size[0] and right * side < size[1]
    ]
