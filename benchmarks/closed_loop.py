"""Channel simulators in a closed loop, in a world whose posterior mean is known exactly.

A Gaussian signal whose spectrum falls as i^-1.2, as that of a row of a picture does, is sent in k
steps of n bits each.  Every step does what one of the codec does: the error of the posterior mean
is rotated, a simulator brings a sample of it across, and both ends add it to the observation
eta = snr x + sqrt(snr) n.  Three things are wanted of a simulator: few bits for the sample, a
sample that moves the receiver as far as an ideal one would, and noise n as white and as independent
of x as the denoiser is told.

The *ideal* simulator draws the sample from N(shift, I) and takes D/2 log2(1 + |shift|^2 / D) bits,
its information.  Chains of it, with as many steps, tell at how many bits a given error is reached.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import log2, sqrt

import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel import viterbi
from diffc_stream.channel.dither import DitheredQuantization
from diffc_stream.channel.pfr import PoissonFunctionalRepresentation
from diffc_stream.channel.rotation import Rotation
from diffc_stream.channel.simulator import Address, Sample, Simulation, Simulator
from diffc_stream.channel.trellis import Trellis
from diffc_stream.codec.encode_report import ideal_bits
from diffc_stream.errors import SimulationError

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

EXPONENT = 1.2
"""The spectrum falls with this power of the frequency."""
SHARES = tuple(np.geomspace(0.55, 1.25, 12))
"""Bits of the ideal chains that a simulator is compared with, as shares of its own."""
DRAWS = 4
"""Ideal chains of each share; their noise differs."""
ORIGIN = 1000
"""Seeds below are those of the sources, ideal chains draw from here on."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One size of step, and a chain of it."""

    bits: int
    """Of a step, as planned: a multiple of 8."""
    dims: int
    steps: int
    seeds: int
    """Chains, each of another source vector."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A simulator with its parameters."""

    name: str
    simulator: Simulator | None
    """None is the ideal one."""
    candidates: int = 0
    """Normals drawn for every dimension by the sender, if it draws any."""
    seeds: int = 1000
    """Chains at most, for those that take long."""


IDEAL = Contender("ideal", None)
TRELLIS = Contender("trellis", Trellis())
DEFAULT = PoissonFunctionalRepresentation()
PFR = Contender("pfr", DEFAULT, candidates=DEFAULT.candidates, seeds=4)
# Vonderfecht and Liu, "Lossy compression with pretrained diffusion models" (ICLR 2025).
PUBLISHED = Contender(
    "published",
    PoissonFunctionalRepresentation(chunk_bits=14, candidates=2**16, careful=False),
    candidates=2**16,
    seeds=2,
)
DITHER = Contender("dither", DitheredQuantization())
CONTENDERS = (IDEAL, TRELLIS, PFR, PUBLISHED, DITHER)

CELLS = (
    Cell(bits=32, dims=4096, steps=40, seeds=16),
    Cell(bits=104, dims=4096, steps=40, seeds=16),
    Cell(bits=304, dims=16_384, steps=40, seeds=8),
    Cell(bits=1000, dims=16_384, steps=20, seeds=8),
    Cell(bits=3000, dims=32_768, steps=10, seeds=6),
    Cell(bits=10_000, dims=65_536, steps=6, seeds=6),
    Cell(bits=30_000, dims=131_072, steps=4, seeds=6),
    Cell(bits=8000, dims=16_384, steps=6, seeds=6),
    Cell(bits=30_000, dims=16_384, steps=4, seeds=6),
)
QUICK = (
    Cell(bits=32, dims=1024, steps=5, seeds=4),
    Cell(bits=304, dims=4096, steps=8, seeds=2),
    Cell(bits=2000, dims=1024, steps=3, seeds=2),
)
"""For a look in a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How the noise of a state differs from N(0, I): ideally by what chance explains."""

    variance: float
    """Of (eta - snr x) / sqrt(snr); ideally 1."""
    kurtosis: float
    """Of the same; ideally 3."""
    neighbours: float
    """Correlation of each value with the next; ideally 0, give or take 1 / sqrt(D)."""
    along_x: float
    """<n, x> / |x|, ideally a sample of N(0, 1)."""
    along_error: Sequence[float]
    """The same of each step's noise and its shift."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chained:
    """What one chain came to."""

    contender: str
    cell: Cell
    seed: int
    bits: float
    """Of all payloads; of an ideal chain its information."""
    ideal_bits: float
    """Sum over the steps of -(D/2) log2(1 - r^2), r the cosine between sample and shift."""
    error: float
    """Mean squared error of the posterior mean that the receiver ends with."""
    encoder_seconds: float
    """Of all steps, by the processor's account: other processes do not show in it."""
    decoder_seconds: float
    noise: Noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What ideal chains of one source vector reach."""

    cell: Cell
    seed: int
    bits: Sequence[float]
    errors: Sequence[float]

    def bits_at(self, error: float) -> float:
        """Return the bits at which an ideal chain reaches ``error``, or the nearest end's."""
        # Chains scatter around a smooth curve, which a parabola follows over a factor of two.
        bits = np.log(self.bits)
        middle = float(bits.mean())
        fitted = np.polyfit(bits - middle, np.log(self.errors), 2)
        grid = np.linspace(bits.min(), bits.max(), 1000)
        reached = np.minimum.accumulate(np.polyval(fitted, grid - middle))
        return float(np.exp(np.interp(-np.log(error), -reached, grid)))


@dataclass(frozen=True, slots=True)
class Task:
    """A chain to walk: of a contender, or, of none, the ideal chains of a source vector."""

    cell: Cell
    seed: int
    contender: Contender | None


def tasks(cells: Sequence[Cell], contenders: Sequence[Contender]) -> list[Task]:
    """Return all chains there are to walk; a trellis that does not admit a step is left out."""
    found = []
    for cell in cells:
        for seed in range(cell.seeds):
            found.append(Task(cell, seed, None))
            found += [
                Task(cell, seed, contender)
                for contender in contenders
                if seed < contender.seeds and _admits(contender, cell)
            ]
    return found


def walked(task: Task) -> Chained | Curve | str:
    """Return what a task came to, or why it came to nothing."""
    if task.contender is None:
        return curve(task.cell, task.seed)
    try:
        return chained(task.cell, task.seed, task.contender)
    except SimulationError as error:
        return f"{task.contender.name}, steps of {task.cell.bits} bits: {error}"


def curve(cell: Cell, seed: int) -> Curve:
    """Walk the ideal chains around ``cell`` for the source vector of ``seed``."""
    ends = []
    for place, share in enumerate(SHARES):
        for draw in range(DRAWS):
            state = State(cell, seed)
            ideal = Ideal(seed=ORIGIN + seed, number=place * DRAWS + draw)
            spent = 0.0
            for _ in range(cell.steps):
                shift, wanted = state.shift(share * cell.bits)
                spent += information(shift)
                state.advance(ideal.simulate(shift).sample.values, wanted)
            ends.append((spent, state.error()))
    bits, errors = zip(*ends, strict=True)
    return Curve(cell=cell, seed=seed, bits=bits, errors=errors)


def chained(cell: Cell, seed: int, contender: Contender) -> Chained:
    """Walk one chain.  Raises SimulationError where the contender cannot."""
    state, simulator = State(cell, seed), contender.simulator
    ideal = Ideal(seed=ORIGIN + seed, number=len(SHARES) * DRAWS)
    bits = explained = encoding = decoding = 0.0
    along = []
    _warm(contender)
    for step in range(cell.steps):
        shift, wanted = state.shift(cell.bits)
        if simulator is None:
            simulation = ideal.simulate(shift)
            values = simulation.sample.values
            bits += information(shift)
        else:
            address = Address(seed, step)
            rotation = Rotation(cell.dims, seed=seed, address=step)
            rotated = rotation.forward(shift)
            began = time.process_time()
            simulation = simulator.simulate(rotated, _room(contender, cell), address)
            encoded = time.process_time()
            payload = simulation.payload
            sample = simulator.reproduce(payload, cell.dims, len(payload), address)
            decoding += time.process_time() - encoded
            encoding += encoded - began
            bits += 8 * len(payload)
            values = rotation.inverse(sample.values)
        explained += ideal_bits(shift, values)
        noise = values - np.float32(simulation.gain) * shift
        along.append(float(np.dot(noise, shift) / np.linalg.norm(shift)))
        state.advance(values, wanted * simulation.gain**2)
    return Chained(
        contender=contender.name,
        cell=cell,
        seed=seed,
        bits=bits,
        ideal_bits=explained,
        error=state.error(),
        encoder_seconds=encoding,
        decoder_seconds=decoding,
        noise=state.noise(along),
    )


class State:
    """The signal, and what the receiver has observed of it.

    Both are kept as components in the basis of the discrete Hartley transform, whose variances
    are the spectrum; shifts and samples are of the signal's values.
    """

    def __init__(self, cell: Cell, seed: int) -> None:
        frequencies = np.abs(np.fft.fftfreq(cell.dims)) * cell.dims
        variances = (1.0 + frequencies) ** -EXPONENT
        self._variances: Doubles = variances / variances.mean()
        rng = np.random.default_rng(seed)
        self._x: Doubles = rng.standard_normal(cell.dims) * np.sqrt(self._variances)
        self._eta = np.zeros(cell.dims)
        self._snr = 0.0

    def estimate(self) -> Doubles:
        """Return the components of the posterior mean, shape (D,)."""
        return self._eta * self._variances / (1.0 + self._snr * self._variances)

    def error(self) -> float:
        """Return its mean squared error."""
        return float(np.mean((self._x - self.estimate()) ** 2))

    def shift(self, bits: float) -> tuple[Floats, float]:
        """Return the shift, (D,), whose information is ``bits``, and the delta it stands for."""
        error = self._x - self.estimate()
        wanted = float(2.0 ** (2.0 * bits / error.size) - 1.0) / float(np.mean(error**2))
        return (sqrt(wanted) * _hartley(error)).astype(np.float32), wanted

    def advance(self, y: Floats, delta: float) -> None:
        """Add the observation that the sample ``y``, (D,), is."""
        self._eta += delta * self.estimate() + sqrt(delta) * _hartley(y)
        self._snr += delta

    def noise(self, along_error: Sequence[float]) -> Noise:
        """Return what the noise of the observation is like."""
        x = _hartley(self._x)
        noise = _hartley(self._eta - self._snr * self._x) / sqrt(self._snr)
        centred = noise - noise.mean()
        variance = float(np.mean(centred**2))
        return Noise(
            variance=float(np.mean(noise**2)),
            kurtosis=float(np.mean(centred**4)) / variance**2,
            neighbours=float(np.mean(centred[1:] * centred[:-1])) / variance,
            along_x=float(np.dot(noise, x) / np.linalg.norm(x)),
            along_error=tuple(along_error),
        )


def _hartley(x: NDArray[np.floating]) -> Doubles:
    """Return the orthonormal Hartley transform of ``x``, (D,), its own inverse."""
    transformed = np.fft.fft(x) / sqrt(x.size)
    return np.asarray(transformed.real - transformed.imag)


class Ideal:
    """Exact samples that take their information and nothing more; there is no payload."""

    def __init__(self, *, seed: int, number: int) -> None:
        self._rng = np.random.default_rng((seed, number))

    def simulate(self, shift: Floats) -> Simulation:
        """Draw from N(shift, I)."""
        values = shift + self._rng.standard_normal(shift.shape, np.float32)
        energy = float(np.mean(np.square(shift, dtype=np.float64)))
        sample = Sample(values=values, there=shift.size, energy=energy)
        return Simulation(payload=b"", sample=sample, gain=1.0)


def information(shift: Floats) -> float:
    """Return the bits of an ideal code for a sample of N(shift, I), shape (D,)."""
    return shift.size / 2 * log2(1.0 + float(np.mean(np.square(shift, dtype=np.float64))))


def bound(bits: float) -> float:
    """Return Theis et al.'s bound on the bits of a step whose information is ``bits``.

    C + log2(C + 1) + 5 (arXiv 2206.08889): for a step coded as a whole, which takes a number of
    candidates that grows with 2^C.
    """
    return bits + log2(bits + 1.0) + 5.0


def slices_walked(bits: int) -> int:
    """Return how many slices the trellis's search goes through for a step of ``bits`` bits.

    Long paths once, and what it looks around their borders; short ones with every state it tries
    (some of these coincide: two fewer at most).  A test counts.
    """
    if bits > 512:
        return bits + 320 * max(1, round(bits / 2048))
    return bits * (4 + max(2, 2048 // bits))


def operations(contender: Contender, cell: Cell) -> float:
    """Return the additions, or products added up, that a step's search takes per dimension.

    Drawing candidates comes on top, for those that draw them: their counts are upper bounds.
    """
    if isinstance(contender.simulator, Trellis):
        # Scattered to sixteen places, then eight stages of the transform, then the choices.
        width = -(-cell.dims // cell.bits)
        slice_ = 16 * width + 8 * viterbi.ROWS + 2 * viterbi.REGISTERS
        return slices_walked(cell.bits) * slice_ / cell.dims
    return float(contender.candidates)


def _admits(contender: Contender, cell: Cell) -> bool:
    simulator = contender.simulator
    return simulator is None or simulator.admits(cell.dims, _room(contender, cell))


def _room(contender: Contender, cell: Cell) -> int:
    """Return the payload bytes to allow: the trellis fills them, the others take what they need."""
    if isinstance(contender.simulator, Trellis):
        return cell.bits // 8
    return cell.bits + 8 * cell.dims


@cache
def _warm(contender: Contender) -> None:
    """Let whatever is compiled or tabulated on first use be so before times are taken."""
    simulator = contender.simulator
    if isinstance(simulator, PoissonFunctionalRepresentation):
        simulator = DEFAULT  # of all their parameters, these take the least time
    if simulator is not None:
        for dims in (512, 16_384):
            shift = np.full(dims, 0.1, np.float32)
            length = dims // 64 if isinstance(simulator, Trellis) else 8 * dims
            simulator.simulate(shift, length, Address(0, 0))
