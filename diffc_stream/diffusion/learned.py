"""The learned denoiser: a network, and the arithmetic around it, whatever runs the network.

The network predicts v = alpha * n - sigma * x from z = alpha * x + sigma * n, the
variance-preserving form of the observation; hence x_hat = alpha * z - sigma * v.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from diffc_stream import work
from diffc_stream.diffusion import tiles
from diffc_stream.diffusion.architecture import field_features, noise_features
from diffc_stream.diffusion.observation import variance_preserving

Floats = NDArray[np.float32]

LARGEST = np.float32(2)
"""The range of pictures is [-LARGEST, LARGEST]."""


EVALUATING = "evaluating"
"""What whoever watches the work is told."""


class Network(Protocol):
    """A U-Net with its weights, on whatever runs it; safe to call from threads."""

    def __call__(self, z: Floats, features: Floats) -> Floats:
        """Return v, (1, 3, H, W), for ``z`` (1, C, H, W) and ``features`` (1, K).

        C and K are the channels and the features of the architecture, H and W multiples of its.
        """
        ...


class LearnedDenoiser:
    """A :class:`~diffc_stream.diffusion.denoiser.Denoiser` on a network; safe to call from threads.

    Pads to the multiple the network needs by repeating the border, and clips the estimate to
    the range of pictures.  Large pictures are evaluated tile by tile, with the same result.
    """

    def __init__(
        self,
        network: Network,
        *,
        multiple: int,
        halo: int,
        shaped: bool = False,
        largest: int = tiles.LARGEST,
    ) -> None:
        """Denoise with ``network``, which takes sides that are multiples of ``multiple``.

        ``halo`` is how far it sees beyond a block of these sides, and ``largest`` how many pixels
        it is given at once.  A ``shaped`` network is told the field of white noise.
        """
        self._network = network
        self._shaped = shaped
        self._multiple = multiple
        self._halo = halo
        self._largest = largest

    def __call__(self, eta: Floats, snr: float) -> Floats:
        """Return x_hat, (3, H, W), for eta (3, H, W) at snr > 0."""
        level = float(np.log(snr))
        told = field_features(level, 1.0, 1.0) if self._shaped else noise_features(level)
        features = np.array([told], np.float32)
        x_hat = np.empty(eta.shape, np.float32)
        cut = tiles.grid(
            *eta.shape[1:], multiple=self._multiple, halo=self._halo, largest=self._largest
        )
        for done, (rows, columns) in enumerate(cut):
            work.tell(EVALUATING, done / len(cut))
            z = variance_preserving(eta[:, rows.seen, columns.seen], snr)
            v = self._network(self._padded(z), features)[0]
            part = z[:, rows.within, columns.within]
            # In place: of a large picture each copy counts.
            part *= np.float32((snr / (1 + snr)) ** 0.5)
            part -= np.float32((1 / (1 + snr)) ** 0.5) * v[:, rows.within, columns.within]
            np.clip(part, -LARGEST, LARGEST, out=x_hat[:, rows.kept, columns.kept])
        work.tell(EVALUATING, 1.0)
        return x_hat

    def _padded(self, z: Floats) -> Floats:
        """Return ``z``, (3, H, W), as the network takes it, (1, C, H', W')."""
        missing = ((0, 0), *((0, -side % self._multiple) for side in z.shape[1:]))
        padded = np.pad(z, missing, mode="edge")
        if self._shaped:  # the map of a field that is the same everywhere
            padded = np.concatenate([padded, np.zeros_like(padded[:1])])
        return padded[None]
