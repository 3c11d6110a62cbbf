"""Pictures that look real: the receiver's own continuation of the chain.

The posterior mean (``mmse``) is the best guess per pixel and therefore blurred.  These renderings
draw from what the observation leaves open, without another bit from the sender, by going on from
the observation to the clean image:

- ``ancestral`` (DiffC-A of Theis et al., arXiv 2206.08889, section 3.1): further refinements with
  samples that the receiver draws from the prior;
- ``flow`` (DiffC-F, section 3.2): the probability-flow ordinary differential equation.  With
  s = 1 / sqrt(snr) and the noisy image u = eta / snr = x + s n it reads
  du / d ln s = u - x_hat(u, s).  It is integrated with x_hat linear in ln s, told from the last
  two evaluations (DPM-Solver++(2M) of Lu et al., arXiv 2211.01095, algorithm 2), so that a step
  costs one evaluation.  At high rate half the squared error of ancestral sampling.

Octaves that the stream has not opened, or only in part, are filled first (:func:`_filled`).
Draws are addressed by octave and position, so that successive pictures do not shimmer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
from numpy.typing import NDArray

from diffc_stream.codec.chain import After, Chain, Projection
from diffc_stream.codec.forecast import Forecast
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.observation import Held, Observation

Floats = NDArray[np.float32]

FIRST = 0.05
"""snr at which the flow starts if nothing is known at all."""
OPENING = 1.0
"""snr at which an octave that the stream has not opened is opened here, unless past it."""
LAST = exp(5.5)
"""snr at which the posterior mean is as good as clean: what it misses is a grey level or two."""
ANCESTRAL_GROWTH = 1.5
THINNING = 8.0
"""By how much the observation is thinned to fill an octave; there, detail is still noise."""
BEGINNING = 1 / 16
"""Share of an octave's detail that is drawn, at least, before the flow goes on from there."""
FIRST_STEP = 0.3
"""Length of the flow's first step over that of the others: it knows no slope yet."""


@dataclass(frozen=True, slots=True)
class Steps:
    """How many steps the flow takes through an octave, an evaluation each."""

    filling: int
    """From the thinned observation to the snr of the opening."""
    onward: int
    """From there to the snr at which the next octave opens, or the last."""


FINEST = Steps(filling=2, onward=4)
COARSER = Steps(filling=1, onward=1)


def continued(chain: Chain, after: After, *, ancestral: bool) -> Floats:
    """Return a clean image at full resolution, (3, H, W), continuing from ``after``."""
    observation, forecast, absent = after.observation, after.forecast, after.absent
    if observation.snr == 0.0:
        # The flow has no beginning: it needs some noise to carry along.
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
            # What need not be spent on filling makes the steps shorter.
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
        # A long step's prior is wider than the noise by what the estimate misses.
        delta = snr - observation.snr
        wide = np.float32(sqrt(1.0 + delta * forecast.error(observation.snr)))
        y = chain.drawn(observation.octave, number, observation.dimensions)
        y *= wide
        observation = observation.refined(x_hat, y, delta)
    return observation


def _flowed(
    chain: Chain,
    observation: Observation,
    path: Sequence[tuple[float, float]],
    held: Held | None = None,
) -> Observation:
    """Follow the probability flow through ``path``, (snr, share), an evaluation each.

    After every step ``held``, if given, puts back what does not follow.
    """
    past: tuple[Floats, float] | None = None
    for snr, share in path:
        x_hat = chain.denoised(observation)
        before = observation
        step = 0.5 * log(snr / before.snr * (share / before.field.share))
        ahead = x_hat
        if past is not None:
            # In the middle of the step, as far ahead of its start as the last one says.
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

    So far it lies at its prediction, without noise; ``energy`` is its variance per value.
    Independent noise, as wide as detail and observation together, would do if detail were
    independent; but an observation that says nothing of edges and texture says that there are
    none, and half of the detail never comes.  So the octave is observed at a smaller snr first,
    where detail drowns in noise: what is known is thinned to it by noise of the receiver's own,
    and the rest follows the flow to where the known part was all along.
    """
    low = np.zeros((octaves.CHANNELS, *octaves.coarser(opened.size)), np.float32)

    def part(u: Floats) -> Floats:
        return octaves.synthesis(low, absent(octaves.details(u)), opened.size)

    noise = chain.drawn(opened.octave, 0, opened.dimensions).reshape(opened.eta.shape)
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
    # Handed over: of a large picture each copy counts.
    path = [(snr, 1.0) for snr in _path(start, opened.snr, steps)]
    return _flowed(chain, beginning.pop(), path, held)


def _completed(chain: Chain, opened: Observation, energy: float, steps: int) -> Observation:
    """Follow the flow of an opening's detail from the share of it that is there to all of it.

    The rest stays as it is.  Of detail of which nothing is known a little is drawn first;
    ``energy`` is its variance per value.
    """
    share = opened.field.share
    if share < BEGINNING:
        share = BEGINNING
        bands = octaves.details(chain.denoised(opened))
        noise = chain.drawn(opened.octave, 0, bands.size).reshape(bands.shape)
        noise *= np.float32(sqrt(1.0 + share * opened.snr * energy))
        opened = opened.begun(bands, noise, share)
    path = [(opened.snr, reached) for reached in _path(share, 1.0, steps)]
    return _flowed(chain, opened, path)


def _noisy(observation: Observation) -> Floats:
    """Return u = x + n / sqrt(snr)."""
    return observation.eta / np.float32(observation.snr)


def _at(observation: Observation, u: Floats, snr: float) -> Observation:
    return Observation.white(u * np.float32(snr), snr, observation.octave)


def _path(snr: float, goal: float, steps: int, first: float = 1.0) -> list[float]:
    """Return ``steps`` increasing snrs from just above ``snr`` to ``goal``.

    Geometric, but for a ``first`` step that is shorter by that factor.
    """
    if snr >= goal:
        return []
    if snr == 0.0 or steps == 1:
        return [goal]
    return [snr * (goal / snr) ** ((i + first) / (steps - 1 + first)) for i in range(steps)]
