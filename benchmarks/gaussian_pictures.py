"""The codec itself on Gaussian pictures: its streams and its renderings, beside theory.

A stream's observation is reconstructed twice: by the receiver's renderings, whose steps are few and
end where a photograph is as good as clean, and exactly, component by component.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffc_stream.codec.continuation import continued
from diffc_stream.codec.encoder import Encoder
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.analytic import GaussianSource
from diffc_stream.diffusion.gaussian import Array
from diffc_stream.diffusion.model import Model
from diffc_stream.diffusion.observation import Observation

from .gaussian_coding import Measured, decibels, squared_error

SOURCE = GaussianSource(height=64, width=64)
TARGETS = (500, 1000, 2000, 4000)
"""Bytes, all enough to reach the finest octave, so that one snr describes what is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """Streams of one length, and how near their renderings come."""

    bytes: float
    """Mean length, headers and checks included."""
    snr: float
    """Reached on average."""
    information: float
    """Of an observation at that snr, in bytes."""
    mean: Measured
    ancestral: Measured
    flow: Measured
    gain: Measured
    """Of flow over ancestral, in dB."""
    exact_gain: Measured
    """The same of exact reconstructions."""
    mean_theory: float
    ancestral_theory: float
    flow_theory: float
    gain_theory: float


def rendered(target: int, count: int, seed: int) -> Rendered:
    """Encode ``count`` pictures of the source to ``target`` bytes, and render them.

    A stream goes on to the end of the step that ``target`` lies in: what the encoder's chain holds
    is what the bytes say.
    """
    rng = np.random.default_rng(seed)
    model = Model(name="gaussian", fingerprint=SOURCE.fingerprint, denoiser=SOURCE)
    x, mean, ancestral, flow, drawn, moved, lengths, snrs = [], [], [], [], [], [], [], []
    for number in range(count):
        picture = octaves.picture(SOURCE.sample(rng))
        encoder = Encoder(picture, model, seed=number)
        for _ in encoder:
            if encoder.written >= target:
                break
        lengths.append(encoder.written)
        chain = encoder.chain
        if chain.observation.octave:
            raise ValueError(f"{target} bytes do not reach the finest octave")
        snrs.append(chain.observation.snr)
        now = chain.now()
        x.append(octaves.signal(picture).ravel())
        mean.append(chain.mean(now).ravel())
        ancestral.append(continued(chain, now, ancestral=True).ravel())
        flow.append(continued(chain, now, ancestral=False).ravel())
        exact = _exact(chain.observation, rng)
        drawn.append(exact[0].ravel())
        moved.append(exact[1].ravel())
    truth, gaussian = np.array(x, np.float64), SOURCE.gaussian()
    known = [gaussian.isotropic(snr) for snr in snrs]
    theory = np.mean(
        [[f(p) for f in (gaussian.mean_error, gaussian.flow_error)] for p in known], axis=0
    )
    return Rendered(
        bytes=float(np.mean(lengths)),
        snr=float(np.mean(snrs)),
        information=float(np.mean([SOURCE.information(snr) for snr in snrs])) / 8,
        mean=squared_error(truth, np.array(mean)),
        ancestral=squared_error(truth, np.array(ancestral)),
        flow=squared_error(truth, np.array(flow)),
        gain=decibels(truth, np.array(ancestral), np.array(flow)),
        exact_gain=decibels(truth, np.array(drawn), np.array(moved)),
        mean_theory=float(theory[0]),
        ancestral_theory=float(2 * theory[0]),
        flow_theory=float(theory[1]),
        gain_theory=float(10 * np.log10(2 * theory[0] / theory[1])),
    )


def _exact(observation: Observation, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return a sample of the posterior, and the end of the flow, (3, H, W), of octave 0."""
    eta, snr = observation.eta, observation.snr
    spectrum = SOURCE.spectra[observation.size]
    white = np.fft.fft2(rng.standard_normal(eta.shape))
    spread = np.fft.ifft2(white * np.sqrt(spectrum / (1.0 + snr * spectrum))).real
    scale = np.sqrt(spectrum / (spectrum + 1.0 / snr)) / snr
    return SOURCE(eta, snr) + spread, np.fft.ifft2(np.fft.fft2(eta) * scale).real
