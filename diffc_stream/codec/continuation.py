"""Pictures that look real: the receiver's own continuation of the chain.

The posterior mean (``mmse``) is the best guess per pixel and therefore blurred.  These renderings
draw from what the observation leaves open, without another bit from the sender, by going on from
the observation to the clean image:

- ``ancestral`` (DiffC-A of Theis et al., arXiv 2206.08889, section 3.1): further refinements with
  samples that the receiver draws from the prior;
- ``flow`` (DiffC-F, section 3.2): the probability-flow ordinary differential equation.  With
  s = 1 / sqrt(snr) and the noisy image u = eta / snr = x + s n it reads
  du/ds = (u - x_hat(u, s)) / s, integrated from s to 0 by Heun's method.  At high rate half the
  squared error of ancestral sampling.

Octaves that the stream has not opened are opened with detail drawn from the prior.  Draws are
addressed by octave and position, so that successive pictures do not shimmer.
"""

from __future__ import annotations

from math import exp, log, prod, sqrt

import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel.randomness import Purpose, normals
from diffc_stream.codec.chain import After, Chain
from diffc_stream.codec.forecast import Forecast
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.observation import Observation

Floats = NDArray[np.float32]

FIRST = 0.05
OPENING = exp(1.0)
"""snr at which an octave that the stream has not opened is opened here."""
LAST = exp(6.5)
"""snr at which the posterior mean is as good as clean."""
FLOW_GROWTH = 3.0
ANCESTRAL_GROWTH = 1.5


def continued(chain: Chain, after: After, *, ancestral: bool) -> Floats:
    """Return a clean image at full resolution, (3, H, W), continuing from ``after``."""
    observation, forecast = after.observation, after.forecast
    if observation.snr == 0.0:
        # The flow has no beginning: it needs some noise to carry along.
        observation = _refined_from_prior(chain, observation, forecast, FIRST)
    for goal in [OPENING] * observation.octave + [LAST]:
        if ancestral:
            observation = _refined_from_prior(chain, observation, forecast, goal)
        else:
            observation = _flowed(chain, observation, goal)
        if observation.octave > 0:
            energy = forecast.missing(0)
            observation = _opened_from_prior(chain, observation, energy)
            forecast = forecast.opened(snr=observation.snr, stated=energy)
    return chain.denoised(observation)


def _refined_from_prior(
    chain: Chain, observation: Observation, forecast: Forecast, goal: float
) -> Observation:
    for number, snr in enumerate(_path(observation.snr, goal, ANCESTRAL_GROWTH), start=1):
        x_hat = chain.denoised(observation)
        y = _drawn(chain, observation, number, x_hat.shape)
        # A long step's prior is wider than the noise by what the estimate misses.
        delta = snr - observation.snr
        wide = np.float32(sqrt(1.0 + delta * forecast.error(observation.snr)))
        observation = observation.refined(x_hat, wide * y, delta)
    return observation


def _flowed(chain: Chain, observation: Observation, goal: float) -> Observation:
    """Follow the probability flow to ``goal`` with Heun steps."""
    for snr in _path(observation.snr, goal, FLOW_GROWTH):
        here = 1.0 / sqrt(observation.snr)
        there = 1.0 / sqrt(snr)
        u = observation.eta / np.float32(observation.snr)
        slope = (u - chain.denoised(observation)) / np.float32(here)
        ahead = _at(observation, u + np.float32(there - here) * slope, snr)
        slope_ahead = (ahead.eta / np.float32(snr) - chain.denoised(ahead)) / np.float32(there)
        mean_slope = np.float32(0.5 * (there - here)) * (slope + slope_ahead)
        observation = _at(observation, u + mean_slope, snr)
    return observation


def _at(observation: Observation, u: Floats, snr: float) -> Observation:
    return Observation(eta=u * np.float32(snr), snr=snr, octave=observation.octave)


def _opened_from_prior(chain: Chain, observation: Observation, energy: float) -> Observation:
    """Open the next octave with detail drawn from the prior.

    The prior is wider than the noise by the detail's own variance, ``energy`` per value, which
    is foretold from the octaves that the stream opened.
    """
    x_hat = chain.denoised(observation)
    size = chain.sizes[observation.octave - 1]
    bands = octaves.details(octaves.upsampled(x_hat, size))
    wide = np.float32(sqrt(1.0 + observation.snr / 4 * energy))
    return observation.opened(bands, wide * _drawn(chain, observation, 0, bands.shape), size)


def _path(snr: float, goal: float, growth: float) -> list[float]:
    """Return increasing snrs from just above ``snr`` to ``goal``, geometric, about ``growth``."""
    if snr >= goal:
        return []
    if snr == 0.0:
        return [goal]
    count = max(1, round(log(goal / snr) / log(growth)))
    return [snr * (goal / snr) ** ((i + 1) / count) for i in range(count)]


def _drawn(chain: Chain, observation: Observation, number: int, shape: tuple[int, ...]) -> Floats:
    """Return standard normals for draw ``number`` in the octave observed."""
    address = 256 * observation.octave + number
    return normals(chain.seed, Purpose.RENDERING, address, prod(shape)).reshape(shape)
