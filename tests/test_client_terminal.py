"""What a terminal can show, and how it is told to."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffc_client.cli.terminal import Capability, capability, cells, drawn, reduced, told

BLOCKS = Capability(way="blocks", true_colour=True)


def two_halves(height: int, width: int) -> NDArray[np.uint8]:
    """Red above blue."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, :, 0] = 255
    image[height // 2 :, :, 2] = 255
    return image


@pytest.mark.parametrize(
    ("environment", "way"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm"),
        ({"TERM": "xterm-256color"}, "blocks"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "blocks"),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, "blocks"),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, None),
        *[({"TERM": name}, None) for name in ("dumb", "", "linux", "vt100", "xterm")],
        ({}, None),
        ({"TERM": "xterm-kitty", "NO_COLOR": "1"}, None),
        ({"TERM": "xterm-kitty", "NO_COLOR": ""}, "kitty"),
    ],
)
def test_the_environment_tells(environment: dict[str, str], way: str | None) -> None:
    found = told(environment, "utf-8")
    assert (found and found.way) == way


def test_half_blocks_need_their_character() -> None:
    assert told({"TERM": "xterm-256color"}, "ascii") is None


@pytest.mark.parametrize(
    ("environment", "true_colour"),
    [
        ({"COLORTERM": "truecolor"}, True),
        ({"COLORTERM": "24bit"}, True),
        ({"TERM": "xterm-direct"}, True),
        ({"TERM": "xterm-256color"}, False),
    ],
)
def test_how_many_colours(environment: dict[str, str], true_colour: bool) -> None:
    assert capability("blocks", environment).true_colour == true_colour


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((400, 600), (60, 20)),
        ((600, 400), (32, 24)),
        ((400, 6000), (79, 3)),
        ((6000, 40), (1, 24)),
        ((1, 1), (1, 1)),
        ((30, 40), (40, 15)),
    ],
)
def test_a_picture_fits_in_proportion(shape: tuple[int, int], expected: tuple[int, int]) -> None:
    found = cells(shape, 79, 24)
    if shape == (400, 600):
        columns, rows = found
        assert columns / (2 * rows) == pytest.approx(1.5, rel=0.03)
        assert rows == 24
    else:
        assert found == expected


def test_reducing_is_a_mean() -> None:
    image = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    assert np.array_equal(reduced(image, 99, 99), image)
    assert reduced(image, 3, 2).shape == (2, 3, 3)
    one = reduced(image, 1, 1)
    assert np.abs(one[0, 0] - image.mean(axis=(0, 1))).max() <= 0.5


def test_half_blocks() -> None:
    rows = drawn(two_halves(4, 2), 2, 1, BLOCKS, 1)
    assert rows == ["\x1b[38;2;255;0;0;48;2;0;0;255m▀▀\x1b[0m"]
    # Of an odd number of lines the last stands twice.
    rows = drawn(two_halves(3, 1), 1, 2, BLOCKS, 1)
    assert rows[-1] == "\x1b[38;2;0;0;255;48;2;0;0;255m▀\x1b[0m"
    assert len(rows) == 2


def test_half_blocks_in_256_colours() -> None:
    image = np.array([[[255, 0, 0]], [[128, 128, 128]]], np.uint8)
    [row] = drawn(image, 1, 1, Capability(way="blocks", true_colour=False), 1)
    assert row == "\x1b[38;5;196;48;5;244m▀\x1b[0m"


def test_kitty_gets_a_png_in_pieces() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    how = Capability(way="kitty", true_colour=True)
    rows = drawn(noise, 20, 10, how, 77)
    assert rows[1:] == [""] * 9
    assert rows[0].startswith("\x1b7\x1b_Ga=T,f=100,q=2,i=77,p=1,C=1,c=20,r=10,m=1;")
    assert rows[0].endswith("\x1b\\\x1b8")
    pieces = re.findall(r"\x1b_G(?:[^;]*,)?m=([01]);([^\x1b]*)\x1b\\", rows[0])
    assert [more for more, _ in pieces] == ["1"] * (len(pieces) - 1) + ["0"]
    assert all(len(data) <= 4096 for _, data in pieces)
    with Image.open(io.BytesIO(base64.b64decode("".join(d for _, d in pieces)))) as picture:
        assert np.array_equal(np.asarray(picture), noise)


def test_iterm_gets_a_png_at_once() -> None:
    rows = drawn(two_halves(900, 900), 20, 10, Capability(way="iterm", true_colour=True), 1)
    found = re.fullmatch(
        r"\x1b7\x1b\]1337;File=inline=1;size=(\d+);width=20;height=10;"
        r"preserveAspectRatio=0:([^\x07]*)\x07\x1b8",
        rows[0],
    )
    assert found
    png = base64.b64decode(found[2])
    assert len(png) == int(found[1])
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.size == (200, 200)
