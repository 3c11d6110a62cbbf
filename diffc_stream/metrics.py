"""Measures of a picture's quality (PSNR) and of its cost (bits per pixel)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

PEAK = 255.0
"""The largest value a channel of a picture can take."""
NARROW = 2.0
"""dB: a quality that is known so well is told by one figure."""


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Return the peak signal-to-noise ratio between two pictures of the same shape, in decibels.

    The squared error is averaged over pixels and channels, as usual for sRGB.  The result is
    infinite if the pictures are equal.  Raises ValueError if the shapes differ or have no pixels.
    """
    if a.shape != b.shape:
        raise ValueError(f"pictures of different shapes cannot be compared: {a.shape}, {b.shape}")
    if not a.size:
        raise ValueError("pictures without pixels cannot be compared")
    # Row by row, so that a picture of 100 megapixels does not need gigabytes of floats.
    total = 0.0
    for row_a, row_b in zip(a, b, strict=True):
        error = row_a.astype(np.float64) - row_b
        total += float(np.vdot(error, error))
    if total == 0.0:
        return math.inf
    return 10.0 * math.log10(PEAK * PEAK * a.size / total)


def bits_per_pixel(nbytes: int, width: int, height: int) -> float:
    """Return how many bits ``nbytes`` bytes spend on each pixel (not channel) of a picture.

    Raises ValueError for a picture without pixels.
    """
    if width < 1 or height < 1:
        raise ValueError(f"a picture of {width} x {height} has no pixels")
    return 8.0 * nbytes / (width * height)


def told(psnr: float, within: tuple[float, float] | None = None) -> str:
    """Return a predicted PSNR in words: "about 26.3 dB", or "19.8 to 22.9 dB".

    The latter where ``within``, between which two it most likely is, are too far apart.
    """
    if within is None or within[1] - within[0] < NARROW:
        return f"about {psnr:.1f} dB"
    return f"{within[0]:.1f} to {within[1]:.1f} dB"
