"""How good a picture is, by four measures.

PSNR and SSIMULACRA2 as everybody computes them.  MS-SSIM is of Wang, Simoncelli and Bovik,
"Multiscale structural similarity for image quality assessment" (2003), on luma (BT.601, full
range): Gaussian window of 11 pixels and deviation 1.5, no padding, averaging by 2, constants 0.01
and 0.03.  The distance between patches is that of :mod:`realism`, of one picture by itself.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffc_stream.metrics import PEAK, psnr

from .realism import patch_distance

Floats = NDArray[np.float32]

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the scales, finest first (table 1 there)."""
WINDOW = 11
PATCHES = 8192
"""Compared per level, of one picture."""

_OFFSETS = np.arange(WINDOW) - WINDOW // 2
_GAUSSIAN = np.exp(-(_OFFSETS**2) / (2 * 1.5**2))
_GAUSSIAN = (_GAUSSIAN / _GAUSSIAN.sum()).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How one picture compares with its original."""

    psnr: float
    """In dB; infinite for an exact copy."""
    ms_ssim: float
    """At most 1."""
    ssimulacra2: float | None
    """At most 100; about 30 is low, 50 medium, 70 high quality.  None where not installed."""
    patches: float
    """Distance between distributions of patches; 0 is none."""

    @classmethod
    def of(cls, picture: NDArray[np.uint8], original: NDArray[np.uint8]) -> Quality:
        """Compare a picture, (H, W, 3), with its original."""
        return cls(
            psnr=psnr(picture, original),
            ms_ssim=ms_ssim(picture, original),
            ssimulacra2=ssimulacra2(picture, original),
            patches=patch_distance([original], [picture], most=PATCHES),
        )


def ms_ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Return the multiscale structural similarity of two pictures, (H, W, 3).

    Five scales, or as many as the window fits into, their weights scaled to add up to 1.
    Raises ValueError if the shapes differ or a side is smaller than the window.
    """
    if a.shape != b.shape or min(a.shape[:2]) < WINDOW:
        raise ValueError(f"MS-SSIM is not for pictures of {a.shape} and {b.shape}")
    one, other = _luma(a), _luma(b)
    scales = []
    for _ in WEIGHTS:
        scales.append(_similarity(one, other))
        one, other = _halved(one), _halved(other)
        if min(one.shape) < WINDOW:
            break
    weights = np.array(WEIGHTS[: len(scales)]) / sum(WEIGHTS[: len(scales)])
    # All but the coarsest scale count contrast and structure only.
    terms = [contrast for _, contrast in scales[:-1]] + [scales[-1][0]]
    return float(np.prod(np.maximum(terms, 0.0) ** weights))


def ssimulacra2(picture: NDArray[np.uint8], original: NDArray[np.uint8]) -> float | None:
    """Return SSIMULACRA2, or None where the package ``ssimulacra2`` is not installed."""
    if find_spec("ssimulacra2") is None:
        return None
    from ssimulacra2 import compute_ssimulacra2

    return float(compute_ssimulacra2(_file(original), _file(picture)))


def _file(picture: NDArray[np.uint8]) -> io.BytesIO:
    # The package reads files only.
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PPM")
    buffer.seek(0)
    return buffer


def _luma(picture: NDArray[np.uint8]) -> Floats:
    luma: Floats = picture.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return luma


def _halved(image: Floats) -> Floats:
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    blocks = image[:height, :width].reshape(height // 2, 2, width // 2, 2)
    halved: Floats = blocks.mean(axis=(1, 3), dtype=np.float32)
    return halved


def _similarity(a: Floats, b: Floats) -> tuple[float, float]:
    """Return the mean structural similarity, and its contrast and structure term alone."""
    # Less than their common level, so that squares keep their digits.
    level = np.float32(a.mean())
    a, b = a - level, b - level
    mean_a, mean_b = _filtered(a), _filtered(b)
    variances = _filtered(a * a) - mean_a**2 + _filtered(b * b) - mean_b**2
    covariance = _filtered(a * b) - mean_a * mean_b
    contrast = (2 * covariance + (0.03 * PEAK) ** 2) / (variances + (0.03 * PEAK) ** 2)
    mean_a, mean_b = mean_a + level, mean_b + level
    constant = (0.01 * PEAK) ** 2
    luminance = (2 * mean_a * mean_b + constant) / (mean_a**2 + mean_b**2 + constant)
    return float((luminance * contrast).mean()), float(contrast.mean())


def _filtered(image: Floats) -> Floats:
    height, width = image.shape[0] - WINDOW + 1, image.shape[1] - WINDOW + 1
    rows = np.zeros((height, image.shape[1]), np.float32)
    for offset, weight in enumerate(_GAUSSIAN):
        rows += weight * image[offset : offset + height]
    filtered = np.zeros((height, width), np.float32)
    for offset, weight in enumerate(_GAUSSIAN):
        filtered += weight * rows[:, offset : offset + width]
    return filtered
