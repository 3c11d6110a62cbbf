"""Pictures that look real: the receiver goes on from the observation by itself.

The posterior mean (``mmse``) is the best guess for each pixel and therefore blurred where little is
known.  The renderings of this module look sharp instead: they invent plausible detail where the
observation leaves it open.  They need nothing more from the sender, and get from the observation to
a clean image in one of two ways:

- ``ancestral`` (DiffC-A of Theis et al., arXiv 2206.08889, section 3.1) makes further refinements,
  with samples that the receiver draws from the prior;
- ``flow`` (DiffC-F, section 3.2) follows the probability-flow ordinary differential equation, which
  is deterministic and has half the squared error of ancestral sampling at high rates.  With
  s = 1 / sqrt(snr) and the noisy image u = eta / snr = x + s n the equation reads
  du / d ln s = u - x_hat(u, s).  It is integrated with x_hat taken as linear in ln s through the
  last two evaluations (DPM-Solver++(2M) of Lu et al., arXiv 2211.01095, algorithm 2), so that a
  step costs one evaluation.

Octaves that the stream has not opened, or only in part, are filled first (:func:`_filled`).
Random draws are addressed by octave and position, so that successive pictures do not shimmer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel.randomness import Purpose, normals
from diffc_stream.codec.after import After, Projection
from diffc_stream.codec.chain import Chain
from diffc_stream.codec.forecast import Forecast
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.observation import Held, Observation

Floats = NDArray[np.float32]

FIRST = 0.05
"""The snr at which the flow starts if nothing is known at all."""
OPENING = 1.0
"""The snr at which the receiver opens an octave that the stream has not opened, or the current snr
if that is higher."""
LAST = exp(5.5)
"""The snr at which the posterior mean is as good as clean: it is wrong by a grey level or two."""
ANCESTRAL_GROWTH = 1.5
"""Factor by which a step of ``ancestral`` raises the snr, about."""
THINNING = 8.0
"""Factor by which the snr is lowered to fill an octave, so that detail drowns in noise again."""
BEGINNING = 1 / 16
"""Smallest share of an octave's detail from which the flow goes on; less is made up to it by a
random draw."""
FIRST_STEP = 0.3
"""Length of the flow's first step relative to the others: it is shorter because no slope is known
yet."""


@dataclass(frozen=True, slots=True)
class Steps:
    """How many steps the flow takes through an octave.  Each costs an evaluation."""

    filling: int
    """From the thinned observation to the snr of the opening."""
    onward: int
    """From there to the snr at which the next octave opens, or to the end."""


FINEST = Steps(filling=2, onward=4)
COARSER = Steps(filling=1, onward=1)


def continued(chain: Chain, after: After, *, ancestral: bool) -> Floats:
    """Return a clean image at full resolution, (3, H, W), continuing from ``after``."""
    observation, forecast, absent = after.observation, after.forecast, after.absent
    if observation.snr == 0.0:
        # The flow cannot start from nothing: it needs some noise to carry along.
        observation = _refined_from_prior(chain, observation, forecast, FIRST)
    while True:
        octave = observation.octave
        steps, goal = (COARSER, OPENING) if octave else (FINEST, LAST)
        onward = steps.onward
        if absent is not None:
            energy = forecast.details[-1]
            observation = _filled(chain, observation, absent, energy, steps.filling)
        elif observation.field.share < 1.0:
            observation = _completed(chain, observation, forecast.details[-1], steps.filling)
        else:
            # Steps that filling does not need are taken here, which makes each one shorter.
            onward += steps.filling
        if ancestral:
            observation = _refined_from_prior(chain, observation, forecast, goal)
        else:
            snrs = _path(observation.snr, goal, onward, FIRST_STEP)
            observation = _flowed(chain, observation, [(snr, 1.0) for snr in snrs])
        x_hat = chain.denoised(observation)
        if not octave:
            return x_hat
        observation, absent = chain.unheard(observation, x_hat)
        forecast = forecast.opened(snr=observation.snr, stated=forecast.missing(0))


def _refined_from_prior(
    chain: Chain, observation: Observation, forecast: Forecast, goal: float
) -> Observation:
    steps = round(log(goal / observation.snr) / log(ANCESTRAL_GROWTH)) if observation.snr else 1
    for number, snr in enumerate(_path(observation.snr, goal, max(1, steps)), start=1):
        x_hat = chain.denoised(observation)
        # Over a long step the prior is wider than the noise alone: the estimate has an error too.
        delta = snr - observation.snr
        wide = np.float32(sqrt(1.0 + delta * forecast.error(observation.snr)))
        y = drawn(chain.seed, observation.octave, number, observation.dimensions)
        y *= wide
        observation = observation.refined(x_hat, y, delta)
    return observation


def _flowed(
    chain: Chain,
    observation: Observation,
    path: Sequence[tuple[float, float]],
    held: Held | None = None,
) -> Observation:
    """Follow the probability flow through the points (snr, share) of ``path``.

    Each point costs an evaluation.  After every step ``held``, if given, restores the part of the
    observation that is not to change.
    """
    past: tuple[Floats, float] | None = None
    for snr, share in path:
        x_hat = chain.denoised(observation)
        before = observation
        step = 0.5 * log(snr / before.snr * (share / before.field.share))
        ahead = x_hat
        if past is not None:
            # x_hat at the middle of the step, extrapolated from the last two evaluations.
            ahead = x_hat - past[0]
            ahead *= np.float32(step / (2 * past[1]))
            ahead += x_hat
        past = x_hat, step
        observation = before.moved(ahead, snr, share=share, held=held)
    return observation


def _filled(
    chain: Chain, opened: Observation, absent: Projection, energy: float, steps: int
) -> Observation:
    """Draw the part of an opening's detail that ``absent`` projects on.

    So far that part is at its prediction, without noise; ``energy`` is its variance per value.

    If the values of detail were independent of each other, it would be enough to add noise as wide
    as detail and observation together.  They are not: to the denoiser, independent noise shows no
    edges and no texture, so that it removes half of the detail.  Therefore the snr is lowered first
    to a level where detail drowns in noise: the known part gets additional noise, drawn by the
    receiver.  From there the absent part follows the flow, back up to the snr that the known part
    had all along.
    """
    low = np.zeros((octaves.CHANNELS, *octaves.coarser(opened.size)), np.float32)

    def part(u: Floats) -> Floats:
        return octaves.synthesis(low, absent(octaves.details(u)), opened.size)

    noise = drawn(chain.seed, opened.octave, 0, opened.dimensions).reshape(opened.eta.shape)
    noise_absent = part(noise)
    prediction = part(_noisy(opened))
    known, noise_known = _noisy(opened) - prediction, noise - noise_absent

    def held(u: Floats, snr: float) -> Floats:
        more = sqrt(max(0.0, 1.0 / snr - 1.0 / opened.snr))
        result = part(u)
        result += known
        for channel, noise in zip(result, noise_known, strict=True):
            np.add(channel, np.float32(more) * noise, out=channel)
        return result

    start = opened.snr / THINNING
    noise_absent *= np.float32(sqrt(1 / start + energy))
    prediction += noise_absent
    beginning = [_at(opened, held(prediction, start), start)]
    del noise, noise_absent, prediction
    # pop() hands the array over without keeping it: those of a large picture take much memory.
    path = [(snr, 1.0) for snr in _path(start, opened.snr, steps)]
    return _flowed(chain, beginning.pop(), path, held)


def _completed(chain: Chain, opened: Observation, energy: float, steps: int) -> Observation:
    """Complete an opening's detail: follow the flow from the share that is there to all of it.

    Everything else stays as it is.  If next to nothing of the detail is known, a little is drawn at
    random first; ``energy`` is the variance of detail per value.
    """
    share = opened.field.share
    if share < BEGINNING:
        share = BEGINNING
        bands = octaves.details(chain.denoised(opened))
        noise = drawn(chain.seed, opened.octave, 0, bands.size).reshape(bands.shape)
        noise *= np.float32(sqrt(1.0 + share * opened.snr * energy))
        opened = opened.begun(bands, noise, share)
    path = [(opened.snr, reached) for reached in _path(share, 1.0, steps)]
    return _flowed(chain, opened, path)


def drawn(seed: int, octave: int, number: int, count: int) -> Floats:
    """Return ``count`` standard normal values for a rendering: draw ``number`` in ``octave``.

    The values depend on these arguments only, so that successive pictures of a stream do not
    shimmer.
    """
    return normals(seed, Purpose.RENDERING, 256 * octave + number, count)


def _noisy(observation: Observation) -> Floats:
    """Return u = x + n / sqrt(snr)."""
    return observation.eta / np.float32(observation.snr)


def _at(observation: Observation, u: Floats, snr: float) -> Observation:
    return Observation.white(u * np.float32(snr), snr, observation.octave)


def _path(snr: float, goal: float, steps: int, first: float = 1.0) -> list[float]:
    """Return ``steps`` increasing snrs from just above ``snr`` to ``goal``.

    They form a geometric series, except that the first step is shorter by the factor ``first``.
    """
    if snr >= goal:
        return []
    if snr == 0.0 or steps == 1:
        return [goal]
    return [snr * (goal / snr) ** ((i + first) / (steps - 1 + first)) for i in range(steps)]
