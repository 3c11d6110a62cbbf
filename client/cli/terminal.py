"""Draws pictures in a terminal, in the best way that it supports.

There are three ways: the graphics protocol of kitty, the inline images of iTerm2, and half blocks,
characters whose upper and lower halves are two pixels, which any terminal with colours can show.
The choice depends on the environment's variables only, because a terminal that is asked may answer
late, into the input of the next program.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from diffc_stream.picture import png_bytes

Way = Literal["kitty", "iterm", "blocks"]
WAYS: tuple[Way, ...] = ("kitty", "iterm", "blocks")

CELL_WIDTH, CELL_HEIGHT = 10, 20
"""Assumed pixels of a character, to which pictures are reduced: finer detail would not show."""
CHUNK = 4096
"""Characters of data in one escape sequence, a limit of kitty's protocol."""
RESET = "\x1b[0m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """How a terminal can show pictures."""

    way: Way
    true_colour: bool
    """24-bit colours, else 256.  For half blocks only."""


def told(environment: Mapping[str, str], encoding: str) -> Capability | None:
    """Return the capability of the terminal that ``environment`` describes; None if unsure.

    ``encoding`` is that of the text written to it.
    """
    name = environment.get("TERM", "")
    if environment.get("NO_COLOR") or name in ("", "dumb", "linux", "unknown"):
        return None
    way = _way(environment)
    if way == "blocks" and not (_colourful(environment) and "utf" in encoding.lower()):
        return None  # no colours, or no character for half a block
    return capability(way, environment)


def capability(way: Way, environment: Mapping[str, str]) -> Capability:
    """Return the capability of a terminal that is known to support ``way``."""
    colours = environment.get("COLORTERM", "").lower() in ("truecolor", "24bit")
    direct = environment.get("TERM", "").endswith("-direct")
    return Capability(way=way, true_colour=colours or direct)


def _way(environment: Mapping[str, str]) -> Way:
    name, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    # A multiplexer decides what reaches the terminal, and few pass pictures on.
    if environment.get("TMUX") or environment.get("STY") or name.startswith(("tmux", "screen")):
        return "blocks"
    if name in ("xterm-kitty", "xterm-ghostty") or program == "ghostty":
        return "kitty"
    if environment.get("KITTY_WINDOW_ID"):
        return "kitty"
    # iTerm2 sets LC_TERMINAL, which ssh passes on.
    if program in ("iTerm.app", "WezTerm", "mintty") or environment.get("LC_TERMINAL") == "iTerm2":
        return "iterm"
    return "blocks"


def _colourful(environment: Mapping[str, str]) -> bool:
    return "256color" in environment.get("TERM", "") or bool(environment.get("COLORTERM"))


def cells(shape: tuple[int, ...], columns: int, rows: int) -> tuple[int, int]:
    """Return the (columns, rows) in which a picture (H, W, ...) fits, in proportion.

    A character is twice as high as wide.  Small pictures are not enlarged beyond one pixel for
    each half of a character.
    """
    height, width = shape[:2]
    scale = min(columns / width, 2 * rows / height, 1.0)
    return max(1, round(width * scale)), max(1, min(rows, round(height * scale / 2)))


def drawn(
    image: NDArray[np.uint8], columns: int, rows: int, how: Capability, number: int
) -> list[str]:
    """Return the text that shows ``image`` (H, W, 3) in ``columns`` by ``rows``, by row.

    Each row leaves the cursor in its row.  In kitty and iTerm2 the first row holds the whole
    picture, and the others are empty.  ``number``, 1 to 2^32 - 1, is the same for all refinements
    of a picture, so that in kitty each replaces the one before.
    """
    if how.way == "blocks":
        return list(_blocks(reduced(image, columns, 2 * rows), how.true_colour))
    png = png_bytes(reduced(image, columns * CELL_WIDTH, rows * CELL_HEIGHT))
    kitty = how.way == "kitty"
    shown = _kitty(png, columns, rows, number) if kitty else _iterm(png, columns, rows)
    # Terminals move the cursor differently after a picture: save and restore it.
    return [f"\x1b7{shown}\x1b8", *[""] * (rows - 1)]


def reduced(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Reduce ``image`` (H, W, 3) to at most ``width`` and ``height`` by averaging pixels."""
    values: NDArray[np.float64] = image.astype(np.float64)
    for axis, most in ((0, height), (1, width)):
        length = values.shape[axis]
        size = min(most, length)
        edges = np.arange(size) * length // size
        counts = np.diff([*edges, length])
        sums = np.add.reduceat(values, edges, axis=axis)
        values = sums / counts.reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
    return np.round(values).astype(np.uint8)


def _blocks(image: NDArray[np.uint8], true_colour: bool) -> Iterator[str]:
    if len(image) % 2:
        image = np.concatenate([image, image[-1:]])
    codes = _true(image) if true_colour else _palette(image)
    for upper, lower in zip(codes[::2], codes[1::2], strict=True):
        row, before = "", ("", "")
        for colours in zip(upper, lower, strict=True):
            if colours != before:
                row += f"\x1b[38;{colours[0]};48;{colours[1]}m"
                before = colours
            row += "\N{UPPER HALF BLOCK}"
        yield row + RESET


def _true(image: NDArray[np.uint8]) -> list[list[str]]:
    return [[f"2;{r};{g};{b}" for r, g, b in row] for row in image.tolist()]


def _palette(image: NDArray[np.uint8]) -> list[list[str]]:
    """Return the nearest of the 6 x 6 x 6 colours and 24 greys of a 256-colour terminal."""
    levels = np.array([0, 95, 135, 175, 215, 255])
    values = image.astype(np.int64)
    index = np.abs(values[..., None] - levels).argmin(axis=-1)
    cube = 16 + index @ np.array([36, 6, 1])
    grey = np.clip(np.round((values.mean(axis=-1) - 8) / 10), 0, 23).astype(np.int64)
    to_cube = ((levels[index] - values) ** 2).sum(axis=-1)
    to_grey = ((8 + 10 * grey[..., None] - values) ** 2).sum(axis=-1)
    nearest = np.where(to_grey < to_cube, 232 + grey, cube)
    return [[f"5;{code}" for code in row] for row in nearest.tolist()]


def _kitty(png: bytes, columns: int, rows: int, number: int) -> str:
    """Return the sequence that places a picture, keeps the cursor and asks for no answer."""
    data = base64.b64encode(png).decode()
    chunks = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
    first = f"a=T,f=100,q=2,i={number},p=1,C=1,c={columns},r={rows},"
    return "".join(
        f"\x1b_G{first if number == 0 else ''}m={int(number + 1 < len(chunks))};{chunk}\x1b\\"
        for number, chunk in enumerate(chunks)
    )


def _iterm(png: bytes, columns: int, rows: int) -> str:
    data = base64.b64encode(png).decode()
    place = f"width={columns};height={rows};preserveAspectRatio=0"
    return f"\x1b]1337;File=inline=1;size={len(png)};{place}:{data}\x07"
