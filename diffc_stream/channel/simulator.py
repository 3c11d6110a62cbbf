"""Reverse channel coding, also called channel simulation: what every simulator does.

The sender knows a *shift* of D dimensions, the error of the receiver's prediction in units of the
noise that the new observation shall have; the receiver does not.  To the sender the new
observation is a sample of N(shift, I); to the receiver it should look like one of its prior, which
is as wide as noise and error together.  A simulator brings such a sample across in few bits: both
ends end up with the same values, and the receiver has learnt no more of the shift than the sample
tells.

    simulate     shift and a length in bytes -> payload and sample
    reproduce    payload, or the first part of it -> sample, or the first part of it

Three simulators implement this: :mod:`~diffc_stream.channel.trellis`,
:mod:`~diffc_stream.channel.pfr` and :mod:`~diffc_stream.channel.dither`.  Shifts are expected to
be rotated (:mod:`~diffc_stream.channel.rotation`), so that their energy is spread evenly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from diffc_stream.errors import SimulationError

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a step draws its shared randomness."""

    seed: int
    """Of the stream, 0 to 2^32 - 1."""
    step: int
    """Number of the step in the stream, from 0; below 2^31."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What a payload, or the first part of one, brings across."""

    values: Floats
    """Shape (D,): gain * shift plus noise of unit variance; zeros from ``there`` on."""
    there: int
    """How many of the D values have arrived."""
    energy: float
    """The mean square of gain * shift per dimension, as the payload states it."""


@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """A sample and the payload that brings it across."""

    payload: bytes
    sample: Sample
    gain: float
    """How much of the shift the sample holds: 1 from an exact simulator.  One that fills its length
    whatever the shift's scale tells here what it came to; never negative."""


class Simulator(Protocol):
    """One way of reverse channel coding.  Implementations hold no state of a stream."""

    def admits(self, dims: int, length: int) -> bool:
        """Return whether a step over ``dims`` values may have a payload of ``length`` bytes.

        Cheap, and asked before anything is allocated for a step that came from outside.
        """
        ...

    def simulate(self, shift: Floats, length: int, address: Address) -> Simulation:
        """Bring a sample of N(shift, I) across in at most ``length`` bytes.

        ``shift`` has shape (D,), float32.  A shift of zeros is fine: the sample is noise.  Raises
        SimulationError if D is 0, a value is not finite, ``length`` is one that :meth:`admits`
        refuses, or so few bytes cannot bring so large a shift across.
        """
        ...

    def reproduce(self, payload: bytes, dims: int, length: int, address: Address) -> Sample:
        """Rebuild the sample of a payload of ``length`` bytes from any prefix of it.

        Any bytes give a sample, garbage a meaningless one, and perhaps only the first part of one;
        bytes after ``length`` are ignored.  Raises SimulationError if ``dims`` and ``length`` are
        ones that :meth:`admits` refuses.
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
