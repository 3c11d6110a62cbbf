"""Octaves: a picture at half its size, a quarter, and so on, and the detail between them.

The signal is x = 2 (v / 127.5 - 1) for 8-bit values v: values in [-2, 2] of about unit variance, in
arrays of shape (3, height, width).  Octave 0 is the picture itself.  Octave r + 1 contains the
means of the 2x2 blocks of octave r, where odd sides repeat their last row or column.  The coarsest
octave is the first whose short side is at most 16.  The orthonormal Haar transform splits an octave
into its low band (twice the means) and three bands of detail; because it is orthonormal, white
noise stays white noise.

Everything is computed a few rows at a time, so that intermediate results stay in a core's cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Size = tuple[int, int]
"""(height, width) in pixels."""

COARSEST_SIDE = 16
CHANNELS = 3
BANDS = 3

_STRIP = 2**15
"""About how many pixels are computed at a time."""
_ROWS = 64
"""Fewest rows computed at a time if each strip needs some rows of its neighbours."""


def signal(picture: NDArray[np.uint8]) -> Floats:
    """Return the signal (3, H, W), values in [-2, 2], of an 8-bit picture (H, W, 3)."""
    height, width = picture.shape[:2]
    x = np.empty((CHANNELS, height, width), np.float32)
    for rows in _strips(height, width):
        scaled = picture[rows].astype(np.float32) * np.float32(4 / 255) - np.float32(2)
        x[:, rows] = scaled.transpose(2, 0, 1)
    return x


def picture(x: Floats) -> NDArray[np.uint8]:
    """Return the 8-bit picture (H, W, 3) nearest to the signal ``x`` (3, H, W)."""
    height, width = x.shape[1:]
    rounded = np.empty((height, width, CHANNELS), np.uint8)
    for rows in _strips(height, width):
        scaled = np.clip((x[:, rows] + 2) * np.float32(255 / 4), 0, 255)
        rounded[rows] = np.rint(scaled, out=scaled).transpose(1, 2, 0)
    return rounded


def sizes(height: int, width: int) -> list[Size]:
    """Return the size of every octave, octave 0 (the picture) first."""
    result = [(height, width)]
    while min(result[-1]) > COARSEST_SIDE:
        result.append(coarser(result[-1]))
    return result


def coarser(size: Size) -> Size:
    """Return the size of the next coarser octave."""
    return (size[0] + 1) // 2, (size[1] + 1) // 2


def dimensions(size: Size) -> int:
    """Return the number of values of an octave of ``size``."""
    return CHANNELS * size[0] * size[1]


def detail_dimensions(size: Size) -> int:
    """Return the number of values in the three detail bands of an octave of ``size``."""
    height, width = coarser(size)
    return BANDS * CHANNELS * height * width


def means(x: Floats) -> Floats:
    """Return the next coarser octave of ``x``: the means of its 2x2 blocks."""
    height, width = coarser((x.shape[1], x.shape[2]))
    result = np.empty((x.shape[0], height, width), np.float32)
    for rows in _strips(height, width):
        a, b, c, d = _corners(x[:, 2 * rows.start : 2 * rows.stop])
        result[:, rows] = (a + b + c + d) * np.float32(0.25)
    return result


def all_of(x: Floats, count: int) -> list[Floats]:
    """Return ``count`` octaves, finest first, of which ``x`` (3, H, W) is the first."""
    result = [x]
    for _ in range(count - 1):
        result.append(means(result[-1]))
    return result


def details(x: Floats) -> Floats:
    """Return the detail bands of ``x`` (3, H, W): shape (bands, 3, ceil(H/2), ceil(W/2)).

    The bands are horizontal, vertical and diagonal differences, orthonormal.
    """
    height, width = coarser((x.shape[1], x.shape[2]))
    result = np.empty((BANDS, x.shape[0], height, width), np.float32)
    half = np.float32(0.5)
    for rows in _strips(height, width):
        a, b, c, d = _corners(x[:, 2 * rows.start : 2 * rows.stop])
        result[0, :, rows] = (a - b + c - d) * half
        result[1, :, rows] = (a + b - c - d) * half
        result[2, :, rows] = (a - b - c + d) * half
    return result


def synthesis(low: Floats, bands: Floats, size: Size) -> Floats:
    """Invert the Haar transform: from the low band (2 * means) and ``bands`` to (3, *size)."""
    result = np.empty((CHANNELS, *size), np.float32)
    height, width = low.shape[1:]
    for rows in _strips(height, width):
        mean, (horizontal, vertical, diagonal) = low[:, rows], bands[:, :, rows]
        x = np.empty((CHANNELS, 2 * mean.shape[1], 2 * width), np.float32)
        x[:, 0::2, 0::2] = mean + horizontal + vertical + diagonal
        x[:, 0::2, 1::2] = mean - horizontal + vertical - diagonal
        x[:, 1::2, 0::2] = mean + horizontal - vertical - diagonal
        x[:, 1::2, 1::2] = mean - horizontal - vertical + diagonal
        x *= np.float32(0.5)
        filled = result[:, 2 * rows.start : 2 * rows.stop]
        filled[:] = x[:, : filled.shape[1], : size[1]]
    return result


def upsampled(x: Floats, size: Size) -> Floats:
    """Enlarge an octave to the next finer one of ``size``, by cubic interpolation.

    Pixels are block means, so the centres of the new pixels lie a quarter of an old pixel to either
    side of the old centre.  The kernel is Keys' cubic with a = -1/2; borders repeat.
    """
    result = np.empty((x.shape[0], *size), np.float32)
    height, width = x.shape[1:]
    for rows in _strips(height, width):
        wide = _doubled(x[:, _around(rows, height)])
        filled = result[:, 2 * rows.start : 2 * rows.stop]
        filled[:] = wide[:, : filled.shape[1], : size[1]]
    return result


def enlarged(x: Floats, octaves: list[Size]) -> Floats:
    """Enlarge a coarse octave step by step to ``octaves[0]``; ``octaves`` is finest first."""
    for size in reversed(octaves):
        x = upsampled(x, size)
    return x


def enlarged_picture(x: Floats, octaves: Sequence[Size]) -> NDArray[np.uint8]:
    """Return the 8-bit picture of :func:`enlarged`, using little more memory than the result."""
    if not octaves:
        return picture(x)
    height, width = octaves[0]
    result = np.empty((height, width, CHANNELS), np.uint8)
    for rows in _strips(height, width, least=_ROWS):
        result[rows] = picture(_enlarged_rows(x, octaves, rows))
    return result


def _enlarged_rows(x: Floats, octaves: Sequence[Size], rows: slice) -> Floats:
    """Return some rows of :func:`enlarged`.

    Each coarser octave needs half as many rows, and four more.
    """
    if not octaves:
        return x[:, rows]
    (_, width), coarser = octaves[0], octaves[1:]
    height = coarser[0][0] if coarser else x.shape[1]
    halves = slice(rows.start // 2, (rows.stop + 1) // 2)
    near = _around(halves, height)
    block = _enlarged_rows(x, coarser, slice(int(near[0]), int(near[-1]) + 1))
    wide = _doubled(block[:, near - near[0]])
    first = rows.start - 2 * halves.start
    return wide[:, first : first + rows.stop - rows.start, :width]


def _around(rows: slice, height: int) -> NDArray[np.intp]:
    """Return the rows, of ``height``, that doubling ``rows`` needs: two more on either side."""
    return np.arange(rows.start - 2, rows.stop + 2).clip(0, height - 1)


def _doubled(near: Floats) -> Floats:
    """Return rows enlarged to double height and width, without the two extra on either side."""
    channels, rows, width = near.shape
    tall = np.empty((channels, 2 * (rows - 4), width), np.float32)
    _double(near.swapaxes(1, 2), tall.swapaxes(1, 2))
    padded = np.pad(tall, ((0, 0), (0, 0), (2, 2)), mode="edge")
    wide = np.empty((*tall.shape[:2], 2 * width), np.float32)
    _double(padded, wide)
    return wide


# Keys' kernel at distances 1.25, 0.25, 0.75, 1.75; multiples of 2^-7, exact.
_CUBIC = tuple(np.float32(tap / 128) for tap in (-9, 111, 29, -3))


def _double(padded: Floats, result: Floats) -> None:
    """Double the last axis of ``padded`` into ``result``, without the two values at either end."""
    before2, before1, x, after1, after2 = (
        padded[:, :, i : padded.shape[2] - 4 + i] for i in range(5)
    )
    far, near, next_, beyond = _CUBIC
    result[:, :, 0::2] = far * after1 + near * x + next_ * before1 + beyond * before2
    result[:, :, 1::2] = far * before1 + near * x + next_ * after1 + beyond * after2


def _corners(x: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the four corners of all 2x2 blocks, an array for each corner."""
    odd = ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2))
    even = np.pad(x, odd, mode="edge") if any(after for _, after in odd) else x
    return even[:, 0::2, 0::2], even[:, 0::2, 1::2], even[:, 1::2, 0::2], even[:, 1::2, 1::2]


def _strips(height: int, width: int, *, least: int = 1) -> Iterator[slice]:
    rows = max(least, _STRIP // max(1, width))
    for first in range(0, height, rows):
        yield slice(first, min(height, first + rows))
