"""The interface between the codec and what knows how pictures look."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from diffc_stream.diffusion.field import WHITE, Field

Floats = NDArray[np.float32]


class Denoiser(Protocol):
    """Guesses the clean picture behind a noisy observation: the posterior mean of an octave.

    How a denoiser is parameterised, padded or run is its own business.  Sender and receiver may use
    different hardware, on which results differ in the last bits: a denoiser's result only shifts
    the observation, and never decides how bits are read.
    """

    def __call__(self, eta: Floats, snr: float, field: Field = WHITE, /) -> Floats:
        """Return x_hat = E[x | eta], shape (3, H, W), at ``snr`` > 0.

        For white noise, eta = snr x + sqrt(snr) n; for noise of another ``field``, see
        :attr:`~diffc_stream.diffusion.observation.Observation.eta`.  Raises ValueError for a field
        that the denoiser does not support.
        """
        ...
