"""The seam between the codec and whatever knows what pictures look like."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Denoiser(Protocol):
    """The posterior mean of an octave given its observation.

    How a denoiser is parameterised, padded or run is its own business.  Sender and receiver may
    run different hardware: a denoiser's value only ever shifts the observation, it never decides
    how bits are read.
    """

    def __call__(self, eta: Floats, snr: float) -> Floats:
        """Return x_hat = E[x | eta], shape (3, H, W), for eta = snr x + sqrt(snr) n, snr > 0."""
        ...
