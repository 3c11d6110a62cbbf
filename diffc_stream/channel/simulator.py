"""Reverse channel coding, also called channel simulation: the interface of all simulators.

It transmits a noisy view of something without sending the something.  The sender knows a *shift* of
D dimensions, which the receiver does not know: the error of the receiver's prediction, in units of
the noise that the new observation is to have.  Sending the shift itself would take many bits.  A
*sample* of N(shift, I), the shift plus noise, is enough to improve the receiver's picture, and it
takes only about as many bits as the receiver learns from it.  The trick is that both ends can draw
the same random vectors; the sender says which of them to take for the sample.

Two distributions matter.  The *posterior*, which only the sender knows, is N(shift, I).  The
*prior* is what the receiver expects: centred at zero, and as wide as noise and error together.
After a step both ends hold the same sample, and the receiver has learnt no more about the shift
than the sample tells.

    simulate     shift and a length in bytes -> payload and sample
    reproduce    payload, or the first part of it -> sample, or the first part of it

Three simulators implement this: :mod:`~diffc_stream.channel.trellis` (the one in use), and for
study :mod:`~diffc_stream.channel.pfr` and :mod:`~diffc_stream.channel.dither`.  Shifts are expected
to be rotated (:mod:`~diffc_stream.channel.rotation`), so that their energy is spread evenly.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from diffc_stream.errors import SimulationError

Floats = NDArray[np.float32]

CHANCE = 4.0
"""Standard deviations of noise by which a sample may lean less towards the error than stated."""


@dataclass(frozen=True, slots=True)
class Address:
    """The place from which a step draws its shared randomness."""

    seed: int
    """Seed of the stream, 0 to 2^32 - 1."""
    step: int
    """Number of the step in the stream, from 0; below 2^31."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The sample that a payload, or the first part of one, transmits."""

    values: Floats
    """Shape (D,): gain * shift plus noise of unit variance, and zeros for what has not arrived."""
    there: int
    """How many of the D values have arrived: the first ones, unless bytes between are lost."""
    energy: float
    """Mean square of gain * shift per dimension, as the payload states it."""

    def leans(self, shift: Floats) -> bool:
        """Return whether it points towards ``shift``, (D,), at least half as much as it states."""
        length = sqrt(float(np.dot(shift, shift)))
        lean = float(np.dot(self.values, shift)) / length if length else inf
        return lean > sqrt(self.energy * shift.size) / 2 - CHANCE


@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """A sample and the payload that transmits it."""

    payload: bytes
    sample: Sample
    gain: float
    """How much of the shift the sample holds: the sample is gain * shift plus noise.

    An exact simulator has a gain of 1.  For one that fills its length whatever the scale of the
    shift, the gain is a result.  It is never negative.
    """


class Simulator(Protocol):
    """A method of reverse channel coding.  Implementations keep no state of a stream."""

    def admits(self, dims: int, length: int) -> bool:
        """Return whether a step over ``dims`` values may have a payload of ``length`` bytes.

        This is cheap, and called before anything is allocated for a step from outside.
        """
        ...

    def simulate(self, shift: Floats, length: int, address: Address) -> Simulation:
        """Transmit a sample of N(shift, I) in at most ``length`` bytes.

        ``shift`` has shape (D,), float32.  If it is all zeros, the sample is noise.  Raises
        SimulationError if D is 0, if a value is not finite, if :meth:`admits` refuses ``length``,
        or if the shift is too large for so few bytes.
        """
        ...

    def reproduce(self, payload: bytes, dims: int, length: int, address: Address) -> Sample:
        """Rebuild the sample of a payload of ``length`` bytes from any prefix of it.

        Any bytes give a sample or the first part of one; garbage gives a meaningless sample.  Bytes
        after ``length`` are ignored.  Raises SimulationError if :meth:`admits` refuses ``dims`` and
        ``length``.
        """
        ...


def check_shift(shift: Floats) -> None:
    """Raise SimulationError unless ``shift`` is a vector of at least one value, all finite."""
    if shift.ndim != 1 or shift.size == 0:
        raise SimulationError(f"a shift of shape {shift.shape} cannot be simulated")
    if not np.isfinite(shift).all():
        raise SimulationError("a shift with values that are not finite cannot be simulated")


def check_length(simulator: Simulator, dims: int, length: int) -> None:
    """Raise SimulationError unless ``simulator`` admits ``length`` bytes for ``dims`` values."""
    if dims < 1 or not simulator.admits(dims, length):
        raise SimulationError(f"{length} bytes cannot bring a sample of {dims} values across")
