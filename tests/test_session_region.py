"""Regions are cells of 32 x 32 pixels, and within their picture."""

from __future__ import annotations

import pytest

from diffc_stream.session import MAX_SIDE, MAX_STREAM, Rectangle, Region, covering
from diffc_stream.session.fields import Record
from diffc_stream.session.region import CELL, MOST_CELLS


def region(cells: Rectangle) -> Region:
    left, top, width, height = cells
    return Region(left=left, top=top, width=width, height=height, size=500, digest="0" * 16)


@pytest.mark.parametrize(
    ("rectangle", "cells", "pixels"),
    [
        ((300, 120, 200, 160), (9, 3, 7, 6), (288, 96, 224, 192)),
        ((0, 0, 1, 1), (0, 0, 1, 1), (0, 0, 32, 32)),
        ((31, 31, 2, 2), (0, 0, 2, 2), (0, 0, 64, 64)),
        ((0, 0, 750, 500), (0, 0, 24, 16), (0, 0, 750, 500)),
        ((749, 499, 1, 1), (23, 15, 1, 1), (736, 480, 14, 20)),
    ],
)
def test_cells_that_cover(rectangle: Rectangle, cells: Rectangle, pixels: Rectangle) -> None:
    assert covering(rectangle, 750, 500) == cells
    assert region(cells).within(750, 500) == pixels


@pytest.mark.parametrize(
    "rectangle",
    [
        (-1, 0, 5, 5),
        (0, -1, 5, 5),
        (0, 0, 0, 5),
        (0, 0, 5, 0),
        (0, 0, 751, 5),
        (0, 499, 5, 2),
        (10**12, 0, 5, 5),
        (0, 0, 5, 10**12),
    ],
)
def test_what_is_not_within(rectangle: Rectangle) -> None:
    assert covering(rectangle, 750, 500) is None


@pytest.mark.parametrize("cells", [(24, 0, 1, 1), (0, 16, 1, 1), (0, 0, 25, 1), (20, 0, 5, 1)])
def test_cells_beyond_a_picture(cells: Rectangle) -> None:
    assert region(cells).within(750, 500) is None


def test_the_largest() -> None:
    assert covering((0, 0, MAX_SIDE, MAX_SIDE), MAX_SIDE, MAX_SIDE) == (
        *(0, 0),
        *(MOST_CELLS, MOST_CELLS),
    )
    assert MOST_CELLS == -(-MAX_SIDE // CELL)
    assert Record(Region).parse([0, 0, 1, 1, MAX_STREAM, "0" * 16])
