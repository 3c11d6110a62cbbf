"""The sender's plan: which step comes next and how long it is.

Every step describes itself, so the receiver need not know the plan: anything here can change
without a new format.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, inf, log2, sqrt

from diffc_stream.channel import trellis
from diffc_stream.container.grammar import Kind
from diffc_stream.diffusion.observation import Observation, opened_snr

FARTHEST = 0.15
"""How far a step's length may be changed, as a binary logarithm, so that one byte describes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How fast the signal-to-noise ratio grows and when octaves open.

    Short steps waste bytes on headers and time on evaluations.  Long steps waste bits, because the
    estimate that they are coded against goes stale.  In coarse octaves headers matter most: an
    evaluation costs almost nothing there, but steps have only a few dozen bytes.  In the finest
    octave evaluations matter most.
    """

    shortest: int = 12
    """Fewest bytes of a refinement: in a shorter one the description would weigh too much."""
    full_step: float = 0.045
    """Fewest bits per pixel of a refinement of the finest octave: for less, the evaluation would
    cost too much.  Smooth pictures would otherwise spend many evaluations on few bits."""
    first: float = 0.15
    """Signal-to-noise ratio after the first step."""
    growth: float = 1.6
    """Factor by which a step raises the signal-to-noise ratio."""
    detail: float = 0.04
    """The next finer octave opens when the energy per value of its missing detail reaches this
    share of the noise that it would be observed with, ..."""
    earliest: float = -0.75
    """... but not before ln snr reaches this value ..."""
    opening: float = 1.2
    """... and at the latest when it reaches this one."""
    close: float = 0.85
    """An octave is finished at this share of its goal: a step for the rest would be too short."""
    ratio: int = 153
    """How the noise is shaped, if the model knows shaped noise; a code (grammar.ratio) for 0.6."""
    top: float = 6.5
    """A stream without a target is finished when ln snr of the finest octave reaches this value."""

    def next(self, observation: Observation, missing: float) -> tuple[Kind, float] | None:
        """Return the kind of the next step and the delta (gain in snr) to aim at; None at the top.

        ``missing`` is the energy per value of the detail that the next finer octave would add.
        For an opening, delta is the snr of the detail bands.
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
        """Return the bytes to spend on a refinement for which ``length`` bytes were planned."""
        if observation.octave == 0:
            height, width = observation.size
            # At most three times: on smooth pictures, too, the estimate goes stale over a step.
            length = max(length, min(3 * length, round(self.full_step * height * width / 8)))
        return max(length, self.shortest)


SHAPED = Schedule(growth=1.7, opening=0.8)
"""The schedule for models that know shaped noise (docs/decisions/0028)."""


def usual(*, shaped: bool) -> Schedule:
    """Return the default schedule for models that know shaped noise, or for those that do not."""
    return SHAPED if shaped else Schedule()


def step_length(energy: float, dims: int) -> int:
    """Return the payload bytes that a sample of ``energy`` = delta |e|^2 / D takes.

    An ideal code would take D/2 log2(1 + energy) bits; ours takes somewhat more.  The result is at
    most half a bit per value: up to there the trellis is at its best.
    """
    ideal = dims / 2 * log2(1.0 + energy)
    length = 1
    for _ in range(4):
        # The excess depends on the length and the length on the excess; this converges quickly.
        excess = trellis.excess(8 * length, dims)
        length = max(1, round(ideal * excess / 8))
    return min(max(length, trellis.fewest_bits(dims) // 8), max(1, dims // 16))


def described_length(length: int, dims: int, described: Iterable[int]) -> int:
    """Return the payload bytes nearest to ``length`` that a description of one byte can give.

    These are ``described``; if none of them is near, or right for ``dims`` values, it is
    ``length`` itself.
    """
    least, most = trellis.fewest_bits(dims) // 8, max(1, dims // 16)
    fitting = [n for n in described if least <= n <= most]
    nearest = min(fitting, key=lambda n: abs(log2(n / length)), default=length)
    return nearest if abs(log2(nearest / length)) < FARTHEST else length
