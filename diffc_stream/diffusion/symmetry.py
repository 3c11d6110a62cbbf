"""Mirror images and quarter turns: averaging a network over them makes its estimates better.

A turned photograph is about as likely as the original, so the posterior mean should turn with the
picture.  That of a network does so only nearly; averaging over turned copies removes the part that
depends on the turn (geometric self-ensemble: Timofte et al., "Seven ways to improve example-based
single image super resolution", CVPR 2016, section 3.6).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

COUNT = 8
"""Number of symmetries, including the identity."""


def turned(x: Floats, number: int) -> Floats:
    """Apply symmetry ``number``, 0 (none) to 7, to ``x`` (..., H, W).

    1 mirrors left and right, 2 top and bottom, 3 both; 4 to 7 do the same as 0 to 3, then
    transpose.
    """
    if number & 1:
        x = x[..., ::-1]
    if number & 2:
        x = x[..., ::-1, :]
    return np.ascontiguousarray(x.swapaxes(-1, -2) if number & 4 else x)


def turned_back(x: Floats, number: int) -> Floats:
    """Undo symmetry ``number``."""
    return turned(x.swapaxes(-1, -2) if number & 4 else x, number & 3)


def averaged(estimate: Callable[[Floats], Floats], x: Floats, count: int) -> Floats:
    """Return the mean of ``estimate`` over the first ``count`` symmetries of ``x`` (3, H, W)."""
    total = np.array(estimate(x))  # A copy, because the result may belong to the caller.
    for number in range(1, count):
        total += turned_back(estimate(turned(x, number)), number)
    total /= np.float32(count)
    return total
