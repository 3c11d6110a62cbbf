"""The energy of errors: what decides how many bits a step takes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_SUMMED = 2**22
"""How many values are summed up in double precision at a time."""


def mean_square(values: Floats) -> float:
    """Return the mean square of ``values``, (D,), summed up in double precision."""
    total = 0.0
    for first in range(0, values.size, _SUMMED):
        piece = values[first : first + _SUMMED]
        total += float(np.square(piece, dtype=np.float64).sum())
    return total / values.size
