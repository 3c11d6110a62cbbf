"""The sender's estimate of how far a camera has moved between two pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diffc_stream.container.reference import MOST_SHIFT

Floats = NDArray[np.float32]

LARGEST = 512
"""The movement is first looked for in an octave whose sides have at most so many pixels."""
WORTH_MOVING = 0.95
"""A reference is moved if that leaves at most this share of the differences."""
_WINDOW = 256
"""Side, in pixels, of the middle of a picture in which movements are compared."""


def moved(picture: Sequence[Floats], reference: Sequence[Floats]) -> tuple[int, int]:
    """Return by how many pixels ``reference`` has moved down and to the right, (0, 0) if not.

    Both are the octaves of pictures of one size, finest first, (3, H, W) each.
    """
    first = next(
        (n for n, octave in enumerate(picture) if max(octave.shape) <= LARGEST), len(picture) - 1
    )
    shift = _correlated(picture[first], reference[first])
    for octave in range(first, -1, -1):
        if octave != first:
            shift = 2 * shift[0], 2 * shift[1]
        near = [(shift[0] + down, shift[1] + right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
        shift = min(near, key=lambda to: _different(picture[octave], reference[octave], to))
    still = _different(picture[0], reference[0], (0, 0))
    within = max(map(abs, shift)) <= MOST_SHIFT
    after = _different(picture[0], reference[0], shift)
    return shift if within and after < WORTH_MOVING * still else (0, 0)


def _correlated(x: Floats, r: Floats) -> tuple[int, int]:
    """Return the shift at the peak of the phase correlation.

    C. D. Kuglin and D. C. Hines, "The phase correlation image alignment method", 1975.
    """
    height, width = x.shape[1:]
    window = np.outer(np.hanning(height), np.hanning(width))
    spectra = [np.fft.rfft2((p.mean(axis=0) - p.mean()) * window) for p in (x, r)]
    cross = spectra[0] * np.conj(spectra[1])
    cross /= np.maximum(np.abs(cross), 1e-12)
    peak = int(np.argmax(np.fft.irfft2(cross, s=(height, width))))
    down, right = divmod(peak, width)
    return (
        down - height if down > height // 2 else down,
        right - width if right > width // 2 else right,
    )


def _different(x: Floats, r: Floats, shift: tuple[int, int]) -> float:
    """Return the mean absolute difference in the middle, if ``r`` is moved."""
    down, right = shift
    height, width = x.shape[1:]
    rows = _middle(height, down)
    columns = _middle(width, right)
    if rows is None or columns is None:
        return np.inf
    there = x[:, rows[0] : rows[1], columns[0] : columns[1]]
    here = r[:, rows[0] - down : rows[1] - down, columns[0] - right : columns[1] - right]
    return float(np.abs(there - here).mean())


def _middle(side: int, shift: int) -> tuple[int, int] | None:
    """Return the beginning and end of the middle of what both pictures show, if there is any."""
    begin, end = max(0, shift), min(side, side + shift)
    if end - begin < 1:
        return None
    middle, half = (begin + end) // 2, _WINDOW // 2
    return max(begin, middle - half), min(end, middle + half + 1)
