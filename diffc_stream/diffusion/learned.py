"""The learned denoiser: a network and the arithmetic around it.

It is the same for all engines.  The network predicts v = alpha * n - sigma * x from
z = alpha * x + sigma * n, the variance-preserving form of the observation; from that follows
x_hat = alpha * z - sigma * v.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from diffc_stream import work
from diffc_stream.diffusion import tiles
from diffc_stream.diffusion.architecture import MAP_RANGE, field_features, noise_features
from diffc_stream.diffusion.field import WHITE, Field
from diffc_stream.diffusion.observation import variance_preserving

Floats = NDArray[np.float32]

LARGEST = np.float32(2)
"""Values of pictures lie in [-LARGEST, LARGEST]."""


EVALUATING = "evaluating"
"""What this part of the work is called in reports of progress."""


class Network(Protocol):
    """A U-Net with its weights, on some engine.  Safe to call from several threads."""

    def __call__(self, z: Floats, features: Floats) -> Floats:
        """Return v, (1, 3, H, W), for ``z`` (1, C, H, W) and ``features`` (1, K).

        C and K are the architecture's channels and features; H and W are multiples of its multiple.
        """
        ...


class LearnedDenoiser:
    """A :class:`~diffc_stream.diffusion.denoiser.Denoiser` that runs a network.

    It pads pictures to the multiple that the network needs by repeating the border, and clips the
    estimate to the range of pictures.  Large pictures are evaluated tile by tile, with the same
    result.  Safe to call from several threads.
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

        ``halo`` is how far it sees beyond a block of that size, and ``largest`` the most pixels to
        give it at once.  A ``shaped`` network knows the field of the noise.
        """
        self._network = network
        self._shaped = shaped
        self._multiple = multiple
        self._halo = halo
        self._largest = largest

    def __call__(self, eta: Floats, snr: float, field: Field = WHITE) -> Floats:
        """Return x_hat, (3, H, W), for eta (3, H, W) at snr > 0.

        Raises ValueError for a field other than white noise if the network does not know it.
        """
        features = np.array([self._features(float(np.log(snr)), field)], np.float32)
        x_hat = np.empty(eta.shape, np.float32)
        cut = tiles.grid(
            *eta.shape[1:], multiple=self._multiple, halo=self._halo, largest=self._largest
        )
        for done, (rows, columns) in enumerate(cut):
            work.tell(EVALUATING, done / len(cut))
            seen = rows.seen, columns.seen
            x_hat[:, rows.kept, columns.kept] = self._evaluated(
                eta[:, *seen],
                snr,
                field.cells if field.cells is None else field.cells[seen],
                features,
            )[:, rows.within, columns.within]
        work.tell(EVALUATING, 1.0)
        return x_hat

    def _features(self, level: float, field: Field) -> list[float]:
        if self._shaped:
            return field_features(level, field.ratio, field.share)
        if not field.isotropic:
            raise ValueError("this model knows white noise only")
        return noise_features(level)

    def _evaluated(self, eta: Floats, snr: float, cells: Floats | None, features: Floats) -> Floats:
        """Return x_hat of a tile, (3, H, W)."""
        alpha: np.float32 | Floats
        sigma: np.float32 | Floats
        shown: Floats | None = None
        if cells is None:
            alpha, sigma = np.float32((snr / (1 + snr)) ** 0.5), np.float32((1 / (1 + snr)) ** 0.5)
            z = variance_preserving(eta, snr)
        else:
            local = np.float32(snr) * cells
            alpha, sigma = np.sqrt(local / (1 + local)), np.sqrt(1 / (1 + local))
            z = alpha * (eta / np.float32(snr))
            shown = np.clip(np.log(cells) / np.float32(MAP_RANGE), -1, 1)
        v = self._network(self._padded(z, shown), features)[0]
        # In place, because each array of a large picture takes much memory.
        z *= alpha
        z -= sigma * v[:, : z.shape[1], : z.shape[2]]
        return np.clip(z, -LARGEST, LARGEST, out=z)

    def _padded(self, z: Floats, cells: Floats | None) -> Floats:
        """Return ``z``, (3, H, W), in the form that the network takes, (1, C, H', W')."""
        if self._shaped:
            z = np.concatenate([z, np.zeros_like(z[:1]) if cells is None else cells[None]])
        missing = ((0, 0), *((0, -side % self._multiple) for side in z.shape[1:]))
        return np.pad(z, missing, mode="edge")[None]
