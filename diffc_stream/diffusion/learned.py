"""The learned denoiser: a network, and the arithmetic around it, whatever runs the network.

The network predicts v = alpha * n - sigma * x from z = alpha * x + sigma * n, the
variance-preserving form of the observation; hence x_hat = alpha * z - sigma * v.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from diffc_stream.diffusion.architecture import noise_features
from diffc_stream.diffusion.observation import variance_preserving

Floats = NDArray[np.float32]

LARGEST = np.float32(2)
"""The range of pictures is [-LARGEST, LARGEST]."""


class Network(Protocol):
    """A U-Net with its weights, on whatever runs it; safe to call from threads."""

    def __call__(self, z: Floats, features: Floats) -> Floats:
        """Return v, (1, 3, H, W), for ``z`` like it and ``features`` (1, NOISE_FEATURES).

        H and W are multiples of the architecture's.
        """
        ...


class LearnedDenoiser:
    """A :class:`~diffc_stream.diffusion.denoiser.Denoiser` on a network; safe to call from threads.

    Pads to the multiple the network needs by repeating the border, and clips the estimate to
    the range of pictures.
    """

    def __init__(self, network: Network, *, multiple: int) -> None:
        """Denoise with ``network``, which takes sides that are multiples of ``multiple``."""
        self._network = network
        self._multiple = multiple

    def __call__(self, eta: Floats, snr: float) -> Floats:
        """Return x_hat, (3, H, W), for eta (3, H, W) at snr > 0."""
        height, width = eta.shape[1:]
        x_hat = variance_preserving(eta, snr)
        missing = ((0, 0), (0, -height % self._multiple), (0, -width % self._multiple))
        z = np.pad(x_hat, missing, mode="edge")[None]
        features = np.array([noise_features(float(np.log(snr)))], np.float32)
        v = self._network(z, features)[0, :, :height, :width]
        # In place: of a large picture each copy counts.
        x_hat *= np.float32((snr / (1 + snr)) ** 0.5)
        x_hat -= np.float32((1 / (1 + snr)) ** 0.5) * v
        return np.clip(x_hat, -LARGEST, LARGEST, out=x_hat)
