"""The sender's next step of one picture: which it is, how long, and its code.

A stepper knows the picture and the chain of its observations, and nothing of the stream that the
steps go into.  What a step comes to is decided by the chain alone, as at the receiver.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel.simulator import Simulation
from diffc_stream.codec.chain import Chain
from diffc_stream.codec.energy import mean_square
from diffc_stream.codec.schedule import Schedule, described_length, step_length
from diffc_stream.codec.simulators import SIMULATORS
from diffc_stream.container import Kind, Simulator, Step
from diffc_stream.container.grammar import delta, nearest_delta
from diffc_stream.diffusion import octaves
from diffc_stream.errors import SimulationError

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A step to come."""

    kind: Kind
    wanted: float
    """The delta (gain in snr) to aim at; for an opening, the snr of the detail."""
    length: int
    """Payload bytes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coded:
    """A step and its payload."""

    step: Step
    simulation: Simulation
    shift: Floats
    """What the sample is of, (D,): the error of the prediction, rotated, in units of the noise."""

    @property
    def payload(self) -> bytes:
        """The step's payload."""
        return self.simulation.payload


class Stepper:
    """Plan and code the steps of ``picture``, 8-bit sRGB, (H, W, 3), from where ``chain`` is."""

    def __init__(self, chain: Chain, picture: NDArray[np.uint8], schedule: Schedule) -> None:
        self.chain = chain
        self.schedule = schedule
        self.seconds = 0.0
        """Time spent in channel simulation so far."""
        self._picture = picture
        # Not the finest octave, which is computed when needed: it is as large as any array here.
        self._coarser: list[Floats] = []
        x = octaves.signal(picture)
        for _ in chain.sizes[1:]:
            x = octaves.means(x)
            self._coarser.append(x)
        self._errors: dict[Kind, Floats] = {}

    @property
    def octave(self) -> int:
        """The octave observed."""
        return self.chain.observation.octave

    def truth(self, octave: int) -> Floats:
        """Return an octave of the picture, (3, H, W)."""
        return self._coarser[octave - 1] if octave else octaves.signal(self._picture)

    def error(self, kind: Kind) -> Floats:
        """Return the error of the receiver's prediction for a step of ``kind``, shape (D,)."""
        if kind not in self._errors:
            truth = self.truth(self.octave - (kind is Kind.OPEN))
            self._errors[kind] = self.chain.error(kind, truth)
        return self._errors[kind]

    def energy(self, kind: Kind) -> float:
        """Return the mean square of that error."""
        return mean_square(self.error(kind))

    def moved_on(self) -> None:
        """Forget what was true before the chain changed."""
        self._errors.clear()

    def planned(self) -> Plan | None:
        """Return the step that the schedule has next, None at the top; its length is not final."""
        observation = self.chain.observation
        missing = self.energy(Kind.OPEN) if observation.octave and observation.snr else 0.0
        planned = self.schedule.next(observation, missing)
        return None if planned is None else self._of(*planned)

    def refinement(self) -> Plan:
        """Return a refinement, where the schedule would have something else."""
        return self._of(Kind.REFINE, (self.schedule.growth - 1.0) * self.chain.observation.snr)

    def _of(self, kind: Kind, wanted: float) -> Plan:
        length = step_length(wanted * self.energy(kind), self.chain.dimensions(kind))
        return Plan(kind=kind, wanted=wanted, length=length)

    def fitted(self, plan: Plan, described: Iterable[int], least: int) -> Plan:
        """Return ``plan`` with the length that it is to have.

        ``described`` are the lengths that a description of one byte can give, ``least`` is what the
        step's computation is worth in bytes.
        """
        dims, length = self.chain.dimensions(plan.kind), plan.length
        spent, wanted = length, plan.wanted
        if plan.kind is Kind.REFINE:
            stretched = self.schedule.stretched(self.chain.observation, length)
            spent = min(stretched, max(length, dims // 16))
        spent = described_length(max(spent, min(least, dims // 16)), dims, described)
        if plan.kind is Kind.REFINE:
            # Steps are so short that gain is nearly proportional to length.
            wanted *= spent / length
        return Plan(kind=plan.kind, wanted=wanted, length=spent)

    def coded(self, plan: Plan, simulator: Simulator) -> Coded | None:
        """Return the code of a step; None if the simulator cannot.  The chain does not change.

        Raises SimulationError if it cannot code even the first.
        """
        kind, wanted = plan.kind, plan.wanted
        error = self.error(kind)
        self._errors.clear()  # each array of a large picture takes much memory
        began = time.perf_counter()
        rotated = self.chain.rotation(kind).forward(error)
        del error
        simulated = None
        while simulated is None:
            if kind is Kind.REFINE:
                wanted = delta(nearest_delta(wanted))
            shift = rotated * np.float32(sqrt(wanted))
            try:
                simulated = SIMULATORS[simulator].simulate(shift, plan.length, self.chain.address)
            except SimulationError:
                # An exact simulator takes as many bytes as the shift costs, here too many.  A
                # refinement may gain less instead; an opening has to transmit all of its detail.
                if not self.chain.steps:
                    raise
                if kind is Kind.OPEN or wanted <= delta(0):
                    return None
                wanted /= 2
        self.seconds += time.perf_counter() - began
        del rotated
        # This choice of delta makes the sample's noise orthogonal to the error.
        gained = max(wanted * min(simulated.gain**2, 16.0), delta(0))
        step = Step(
            kind=kind,
            simulator=simulator,
            length=len(simulated.payload),
            delta_code=nearest_delta(gained) if kind is Kind.REFINE else 0,
        )
        return Coded(step=step, simulation=simulated, shift=shift)
