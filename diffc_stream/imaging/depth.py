"""Convert samples of any width to 8 bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

INTEGER = (65535.0,)
FLOAT = (1.0, 255.0, 65535.0)
"""Maxima that are tried for floating-point samples, whose range files do not state."""


def eight_bits(values: NDArray[Any], spans: Sequence[float]) -> NDArray[np.uint8]:
    """Scale values so that the first of ``spans`` that contains them all becomes 255.

    If none does, the range of the values is stretched.  NaN becomes black.
    """
    known = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(known.min()), float(known.max())
    span = next((s for s in spans if low >= 0.0 and high <= s), None)
    if span is None:
        known, span = known - low, (high - low) or 1.0
    return np.round(known * (255.0 / span)).astype(np.uint8)
