"""A denoiser that remembers its last results."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from diffc_stream.diffusion.denoiser import Denoiser
from diffc_stream.diffusion.field import WHITE, Field

Floats = NDArray[np.float32]

MOST = 12
"""Results remembered: those of the octaves of an observation, and of the octave after it."""


class Remembering:
    """A denoiser for one picture of a clip.

    A new second estimate of the picture changes nothing of its observation, so what the network
    says of that need not be computed again.  Results are shared: nobody may write to them.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        self._denoiser = denoiser
        self._known: OrderedDict[bytes, Floats] = OrderedDict()

    def __call__(self, eta: Floats, snr: float, field: Field = WHITE, /) -> Floats:
        """Return x_hat = E[x | eta], shape (3, H, W), at ``snr`` > 0."""
        told = hashlib.blake2b(repr((eta.shape, snr, field)).encode(), digest_size=16)
        told.update(np.ascontiguousarray(eta).data)
        key = told.digest()
        if key not in self._known:
            self._known[key] = self._denoiser(eta, snr, field)
            self._known[key].setflags(write=False)
        self._known.move_to_end(key)
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        return self._known[key]
