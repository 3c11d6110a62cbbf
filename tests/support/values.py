"""Values that are easily had in any language, for vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

EVERY = 97
"""Of pictures, values this far apart are kept."""


def known(x: Floats) -> list[float]:
    """Return some of the values of ``x``, rounded as single precision shows them."""
    return [float(f"{value:.7g}") for value in x.reshape(-1)[::EVERY].tolist()]


def waves(*shape: int) -> Floats:
    """Return values that are easily had in any language: 2 sin(i^2)."""
    count = int(np.prod(shape))
    return (2 * np.sin(np.arange(count, dtype=np.float64) ** 2)).astype(np.float32).reshape(shape)
