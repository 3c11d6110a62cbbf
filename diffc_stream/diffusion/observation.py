"""The noisy observation of the image that sender and receiver share.

    eta = snr * x + sqrt(snr) * n,    n ~ N(0, I)

is everything known about x.  At snr 0 nothing is known and eta = 0.  It is the diffusion state
of Theis et al. (arXiv 2206.08889, section 3) in other coordinates: with alpha^2 = snr / (1 + snr)
and sigma^2 = 1 / (1 + snr), z = alpha x + sigma n = eta * sigma / sqrt(snr).  These are the
convenient ones because independent observations of one x simply add.

One refinement adds a new observation of signal-to-noise ratio delta.  Let x_hat be the posterior
mean, known to both ends, and e = x - x_hat.  In units of the new observation's noise, and
around what the receiver expects,

    posterior  q = N(sqrt(delta) e, I)        prior  p = N(0, I)
    eta <- eta + delta * x_hat + sqrt(delta) * y,    snr <- snr + delta

where y is the sample that reverse channel coding brought across, at KL(q || p) = delta |e|^2 / 2
nats.  This is q(z_s | z_t, x) against p(z_s | z_t) of DDPM and VDM.

Opening an octave keeps the signal-to-noise ratio and adds dimensions: a coarse octave observed
at snr is the low band of the finer one observed at snr / 4, and the three detail bands are
brought from nothing to exactly the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from diffc_stream.diffusion import octaves

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Observation:
    """What is known of octave ``octave``: ``eta``, shape (3, H, W), at ``snr`` >= 0."""

    eta: Floats
    snr: float
    octave: int

    @classmethod
    def nothing(cls, size: octaves.Size, octave: int) -> Observation:
        """Return the observation that holds no information, of an octave of ``size``."""
        return cls(eta=np.zeros((octaves.CHANNELS, *size), np.float32), snr=0.0, octave=octave)

    @property
    def size(self) -> octaves.Size:
        """(height, width) of the octave observed."""
        return self.eta.shape[1], self.eta.shape[2]

    @property
    def log_snr(self) -> float:
        """ln snr, minus infinity at snr 0."""
        return log(self.snr) if self.snr else -float("inf")

    def z(self) -> Floats:
        """Return the variance-preserving form alpha x + sigma n, shape (3, H, W)."""
        return variance_preserving(self.eta, self.snr)

    def refined(self, x_hat: Floats, y: Floats, delta: float, received: float = 1.0) -> Observation:
        """Add an observation of signal-to-noise ratio ``delta``.

        ``x_hat`` is the posterior mean, ``y`` the sample around it, both (3, H, W).  If only
        the fraction ``received`` of a rotated y is there, with zeros for the rest, the
        observation gains that fraction of delta.
        """
        gained = np.float32(received * delta)
        eta = np.empty_like(self.eta)
        for summed, before, known, new in zip(eta, self.eta, x_hat, y, strict=True):
            np.add(before, gained * known, out=summed)
            np.add(summed, np.float32(sqrt(delta)) * new, out=summed)
        return Observation(eta=eta, snr=self.snr + received * delta, octave=self.octave)

    def opened(self, bands: Floats, y: Floats, size: octaves.Size) -> Observation:
        """Add the detail of the next finer octave, of ``size``.

        ``bands`` is the prediction of the detail bands and ``y`` the sample around it, both of
        shape (3, 3, H, W).
        """
        snr = self.snr / 4
        detail = np.float32(snr) * bands
        for band, new in zip(detail, y, strict=True):
            np.add(band, np.float32(sqrt(snr)) * new, out=band)
        eta = octaves.synthesis(self.eta * np.float32(0.5), detail, size)
        return Observation(eta=eta, snr=snr, octave=self.octave - 1)

    def noise_variance(self, x: Floats) -> float:
        """Return the variance of (eta - snr x) / sqrt(snr), 1 for an ideal observation of x."""
        total = 0.0
        for known, true in zip(self.eta, x, strict=True):
            noise = (known - np.float32(self.snr) * true) / np.float32(sqrt(self.snr))
            total += float(np.square(noise, dtype=np.float64).sum())
        return total / x.size


def variance_preserving(eta: Floats, snr: float) -> Floats:
    """Return z = eta * sigma / sqrt(snr) with sigma^2 = 1 / (1 + snr); zeros at snr 0."""
    return eta * np.float32(1 / sqrt(snr * (1 + snr)) if snr else 0.0)
