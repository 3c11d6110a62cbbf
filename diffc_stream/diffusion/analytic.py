"""Gaussian pictures of known covariance, with their exact denoiser: for tests and demonstrations.

On this source every claim about the codec has a closed form, and no weights are needed.  The source
is stationary on a torus, so that the Fourier transform diagonalises its covariance.  The same holds
for its octaves, whose spectra follow by aliasing.  The channels are independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.field import WHITE, Field
from diffc_stream.diffusion.gaussian import Gaussian

Floats = NDArray[np.float32]
Spectrum = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class GaussianSource:
    """Pictures with power spectrum 1 / (1 + (f / corner)^exponent), f in cycles per picture.

    ``height`` and ``width`` are powers of two.  ``variance`` is the variance of a value, in signal
    units.  An instance is a :class:`~diffc_stream.diffusion.denoiser.Denoiser`.
    """

    height: int
    width: int
    exponent: float = 2.4
    corner: float = 1.0
    variance: float = 0.35

    def __post_init__(self) -> None:
        for side in (self.height, self.width):
            if side < 1 or side & (side - 1):
                raise ValueError(f"a side of {side} is not a power of two")

    @property
    def fingerprint(self) -> str:
        """A fingerprint of the source, 8 hex digits, for streams made with it."""
        return sha256(repr(self).encode()).hexdigest()[:8]

    @cached_property
    def spectra(self) -> dict[octaves.Size, Spectrum]:
        """The power spectrum of every octave by its size: E|X_f|^2 of the unitary transform."""
        v = np.fft.fftfreq(self.height)[:, None] * self.height
        u = np.fft.fftfreq(self.width)[None, :] * self.width
        spectrum = 1.0 / (1.0 + (np.hypot(u, v) / self.corner) ** self.exponent)
        spectrum *= self.variance / spectrum.mean()
        result = {(self.height, self.width): spectrum}
        for size in octaves.sizes(self.height, self.width)[1:]:
            spectrum = _halved(spectrum)
            result[size] = spectrum
        return result

    def __call__(self, eta: Floats, snr: float, field: Field = WHITE) -> Floats:
        """Return E[x | eta], (3, H, W), of the octave with eta's size, at snr > 0.

        Raises ValueError for noise that is not white.
        """
        if not field.isotropic:
            raise ValueError("a stationary source knows white noise only")
        spectrum = self.spectra[eta.shape[1], eta.shape[2]]
        x_hat = np.fft.ifft2(np.fft.fft2(eta) * (spectrum / (1.0 + snr * spectrum)))
        return np.ascontiguousarray(x_hat.real.astype(np.float32))

    def sample(self, rng: np.random.Generator) -> Floats:
        """Draw a picture, (3, height, width), in signal units; values may leave [-2, 2]."""
        white = np.fft.fft2(rng.standard_normal((octaves.CHANNELS, self.height, self.width)))
        spectrum = self.spectra[self.height, self.width]
        return np.asarray(np.fft.ifft2(white * np.sqrt(spectrum)).real, np.float32)

    def error(self, snr: float, octave: int = 0) -> float:
        """Return the mean squared error per value of the posterior mean at ``snr``."""
        known = self.gaussian(octave)
        return known.mean_error(known.isotropic(snr))

    def information(self, snr: float, octave: int = 0) -> float:
        """Return I[X, Z], the information in an observation at ``snr``, in bits.

        That is what an ideal code would send.
        """
        known = self.gaussian(octave)
        return octaves.CHANNELS * known.information(known.isotropic(snr))

    def rate(self, distortion: float) -> float:
        """Return R(D), the fewest bits for a mean squared error per value of ``distortion``.

        It is computed by reverse water-filling.
        """
        return octaves.CHANNELS * self.gaussian().rate(distortion)

    def gaussian(self, octave: int = 0) -> Gaussian:
        """Return the distribution of a channel's Fourier components: an uncorrelated Gaussian.

        Its errors are per value as well; its rates are those of one channel.
        """
        return Gaussian(self._spectrum(octave).ravel())

    def _spectrum(self, octave: int) -> Spectrum:
        return self.spectra[octaves.sizes(self.height, self.width)[octave]]


def _halved(spectrum: Spectrum) -> Spectrum:
    """Return the spectrum of the means of 2x2 blocks: filtered, then folded (aliasing)."""
    height, width = spectrum.shape
    filtered = (
        spectrum
        * np.cos(np.pi * np.fft.fftfreq(height)[:, None]) ** 2
        * np.cos(np.pi * np.fft.fftfreq(width)[None, :]) ** 2
    )
    folded = filtered.reshape(2, height // 2, 2, width // 2).sum(axis=(0, 2))
    return np.asarray(folded / 4)
