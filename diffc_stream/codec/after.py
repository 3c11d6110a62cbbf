"""What is known after a step of a stream, or after the part of a step that has arrived."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffc_stream.codec.forecast import Expected, Forecast
from diffc_stream.diffusion.observation import Observation

Floats = NDArray[np.float32]
Projection = Callable[[Floats], Floats]
"""A function from detail bands, (3, 3, H, W), to detail bands."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class After:
    """The state after a step, or after the part of a step that has arrived."""

    observation: Observation
    """A part of a refinement raises the snr in proportion to ``received``.  A part of an opening
    cannot: detail that has not arrived stays at its prediction, without noise."""
    forecast: Forecast
    received: float
    """The fraction of the step's values that arrived, 0 to 1."""
    absent: Projection | None
    """Projects detail bands on the part of an opening that has not arrived; None if all has."""
    expected: Expected
    """The expected error of the posterior mean."""


def everything(bands: Floats) -> Floats:
    """Project detail bands on all of them: return ``bands``."""
    return bands
