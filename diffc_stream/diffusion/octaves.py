"""Octaves of a picture: means of 2x2 blocks, and the detail that takes one to the next finer.

The signal is x = 2 (v / 127.5 - 1) for 8-bit values v, in [-2, 2], about unit variance, as
arrays of shape (3, height, width).  Octave 0 is the picture itself; octave r + 1 holds the means
of octave r's 2x2 blocks, odd sides repeating their last row or column, until the short side is
at most 16.  The orthonormal Haar transform takes a picture to its low band (twice the means) and
three detail bands; being orthonormal, it takes white noise to white noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Size = tuple[int, int]
"""(height, width) in pixels."""

COARSEST_SIDE = 16
CHANNELS = 3
BANDS = 3


def signal(picture: NDArray[np.uint8]) -> Floats:
    """Return the signal (3, H, W), values in [-2, 2], of an 8-bit picture (H, W, 3)."""
    scaled = picture.astype(np.float32) * np.float32(4 / 255) - np.float32(2)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


def picture(x: Floats) -> NDArray[np.uint8]:
    """Return the 8-bit picture (H, W, 3) nearest to the signal ``x`` (3, H, W)."""
    scaled = np.clip((x + 2) * np.float32(255 / 4), 0, 255)
    return np.ascontiguousarray(np.rint(scaled).astype(np.uint8).transpose(1, 2, 0))


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
    """Return how many values an octave of ``size`` has."""
    return CHANNELS * size[0] * size[1]


def detail_dimensions(size: Size) -> int:
    """Return how many values the three detail bands below an octave of ``size`` have."""
    height, width = coarser(size)
    return BANDS * CHANNELS * height * width


def means(x: Floats) -> Floats:
    """Return the next coarser octave of ``x``: the means of its 2x2 blocks."""
    a, b, c, d = _corners(x)
    return (a + b + c + d) * np.float32(0.25)


def details(x: Floats) -> Floats:
    """Return the detail bands of ``x`` (3, H, W): shape (bands, 3, ceil(H/2), ceil(W/2)).

    The bands are horizontal, vertical and diagonal differences, orthonormal.
    """
    a, b, c, d = _corners(x)
    return np.stack([a - b + c - d, a + b - c - d, a - b - c + d]) * np.float32(0.5)


def synthesis(low: Floats, bands: Floats, size: Size) -> Floats:
    """Invert the Haar transform: from the low band (2 * means) and ``bands`` to (3, *size)."""
    horizontal, vertical, diagonal = bands
    x = np.empty((CHANNELS, 2 * low.shape[1], 2 * low.shape[2]), np.float32)
    x[:, 0::2, 0::2] = low + horizontal + vertical + diagonal
    x[:, 0::2, 1::2] = low - horizontal + vertical - diagonal
    x[:, 1::2, 0::2] = low + horizontal - vertical - diagonal
    x[:, 1::2, 1::2] = low - horizontal - vertical + diagonal
    x *= np.float32(0.5)
    return np.ascontiguousarray(x[:, : size[0], : size[1]])


def upsampled(x: Floats, size: Size) -> Floats:
    """Enlarge an octave to the next finer one of ``size``, by cubic interpolation.

    Pixel centres are those of block means: the new pixels lie a quarter of an old pixel to
    either side.  The kernel is Keys' cubic with a = -1/2; borders repeat.
    """
    tall = _doubled(x.transpose(0, 2, 1)).transpose(0, 2, 1)[:, : size[0]]
    return np.ascontiguousarray(_doubled(tall)[:, :, : size[1]])


def enlarged(x: Floats, octaves: list[Size]) -> Floats:
    """Enlarge a coarse octave step by step to ``octaves[0]``; ``octaves`` is finest first."""
    for size in reversed(octaves):
        x = upsampled(x, size)
    return x


# Keys' kernel at distances 1.25, 0.25, 0.75, 1.75; multiples of 2^-7, exact.
_CUBIC = tuple(np.float32(tap / 128) for tap in (-9, 111, 29, -3))


def _doubled(x: Floats) -> Floats:
    """Double the last axis."""
    before2, before1, after1, after2 = (
        np.pad(x, ((0, 0), (0, 0), (2, 2)), mode="edge")[:, :, i : i + x.shape[2]]
        for i in (0, 1, 3, 4)
    )
    far, near, next_, beyond = _CUBIC
    result = np.empty((*x.shape[:2], 2 * x.shape[2]), np.float32)
    result[:, :, 0::2] = far * after1 + near * x + next_ * before1 + beyond * before2
    result[:, :, 1::2] = far * before1 + near * x + next_ * after1 + beyond * after2
    return result


def _corners(x: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    even = np.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2)), mode="edge")
    return even[:, 0::2, 0::2], even[:, 0::2, 1::2], even[:, 1::2, 0::2], even[:, 1::2, 1::2]
