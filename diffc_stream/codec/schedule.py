"""The sender's plan: which step comes next and how long it is.

The stream describes itself step by step, so nothing here is known to the receiver and all of it
can change without a new format.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, log2, sqrt

from diffc_stream.channel import trellis
from diffc_stream.container.grammar import Kind
from diffc_stream.diffusion.observation import Observation, opened_snr


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How fast the signal-to-noise ratio grows and when octaves open.

    Short steps waste headers and evaluations, long ones bits, because the estimate they are
    coded against goes stale.  Coarse octaves cost almost nothing to evaluate, but their steps
    are of a few dozen bytes, so headers decide there; in the finest octave evaluations do.
    """

    shortest: int = 12
    """Bytes that a refinement has at least: below, its description weighs too much."""
    full_step: float = 0.045
    """Bits per pixel that a refinement of the finest octave has at least: below, its evaluation
    weighs too much.  Smooth pictures would otherwise spend many evaluations on few bits."""
    first: float = 0.15
    """Signal-to-noise ratio after the first step."""
    growth: float = 1.6
    """Factor by which a step raises it."""
    detail: float = 0.04
    """The next finer octave opens when its missing detail, observed at the snr it would have, has
    so much energy per value of noise, ..."""
    earliest: float = -0.75
    """... but not below this ln snr ..."""
    opening: float = 1.2
    """... and at the latest at this one."""
    close: float = 0.85
    """Share of an octave's goal that is as good as the goal: a step for the rest would be short."""
    ratio: int = 153
    """Of the precision field of the noise, for a model that knows it (grammar.ratio): 0.6."""
    top: float = 6.5
    """ln snr of the finest octave at which a stream without a target is finished."""

    def next(self, observation: Observation, missing: float) -> tuple[Kind, float] | None:
        """Return the kind of the next step and the delta it should gain; None at the top.

        ``missing`` is the energy per value of the detail that the next finer octave would add.
        For an opening, delta is that of the detail bands.
        """
        if observation.snr == 0.0:
            return Kind.REFINE, self.first
        goal = exp(self.top)
        opened = opened_snr(1.0, observation.field.ratio)
        if observation.octave:
            rich = self.detail / (missing * opened) if missing else inf
            goal = min(max(rich, exp(self.earliest)), exp(self.opening))
        if observation.snr > self.close * goal:
            return (Kind.OPEN, observation.snr * opened) if observation.octave else None
        reached = observation.snr * self.growth
        if reached > goal / sqrt(self.growth):
            reached = goal
        return Kind.REFINE, reached - observation.snr

    def stretched(self, observation: Observation, length: int) -> int:
        """Return the bytes to spend on a refinement that would take ``length`` as planned."""
        if observation.octave == 0:
            height, width = observation.size
            # At most threefold: the estimate grows stale over a step, on smooth pictures too.
            length = max(length, min(3 * length, round(self.full_step * height * width / 8)))
        return max(length, self.shortest)


SHAPED = Schedule(growth=1.7, opening=0.8)
"""For models that know shaped noise (docs/decisions/0028)."""


def usual(*, shaped: bool) -> Schedule:
    """Return the schedule for models that know shaped noise, or for those that do not."""
    return SHAPED if shaped else Schedule()


def step_length(energy: float, dims: int) -> int:
    """Return the payload bytes that bring a sample of ``energy`` = delta |e|^2 / D across.

    That is D/2 log2(1 + energy) bits for an ideal code, more for ours; at most half a bit a
    value, where the trellis is at its best.
    """
    ideal = dims / 2 * log2(1.0 + energy)
    length = 1
    for _ in range(4):
        # How many bits more depends on how many they are; this settles at once.
        excess = trellis.excess(8 * length, dims)
        length = max(1, round(ideal * excess / 8))
    return min(max(length, trellis.fewest_bits(dims) // 8), max(1, dims // 16))
