"""The seam between the codec and whatever knows what pictures look like."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from diffc_stream.diffusion.field import WHITE, Field

Floats = NDArray[np.float32]


class Denoiser(Protocol):
    """The posterior mean of an octave given its observation.

    How a denoiser is parameterised, padded or run is its own business.  Sender and receiver may
    run different hardware: a denoiser's value only ever shifts the observation, it never decides
    how bits are read.
    """

    def __call__(self, eta: Floats, snr: float, field: Field = WHITE, /) -> Floats:
        """Return x_hat = E[x | eta], shape (3, H, W), at ``snr`` > 0.

        With white noise eta = snr x + sqrt(snr) n; with noise of another ``field`` it is what
        :attr:`~diffc_stream.diffusion.observation.Observation.eta` says.  Raises ValueError for a
        field that the denoiser does not know.
        """
        ...
