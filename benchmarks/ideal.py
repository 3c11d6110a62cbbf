"""Streams of pictures beside chains of an ideal simulator in the smallest of steps.

The ideal chain opens octaves as the codec's schedule does, but raises the signal-to-noise ratio by
a factor of only 1.1 at a time, draws exact samples, pays D/2 log2(1 + |shift|^2 / D) bits for each,
its information, and nothing for headers.  What a stream needs beyond it is what reverse channel
coding, descriptions of steps, checks, and estimates that grow stale over long steps cost together.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import log, sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel.rotation import Rotation
from diffc_stream.channel.simulator import Address
from diffc_stream.codec import Encoder, EncodeReport, Schedule
from diffc_stream.codec.chain import Chain
from diffc_stream.codec.schedule import usual
from diffc_stream.codec.simulators import SIMULATORS
from diffc_stream.container import Kind, Simulator
from diffc_stream.container.grammar import WHITE_RATIO, ratio
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.model import Model
from diffc_stream.diffusion.observation import Observation
from diffc_stream.metrics import psnr
from diffc_stream.picture import load_picture

from .closed_loop import Ideal, information

RATES = (0.05, 0.1, 0.2, 0.4)
"""Bits per pixel of the streams compared."""
SIZES = (1000, 4000)
"""Bytes of those whose side information is looked at."""
FINEST = Schedule(first=0.02, growth=1.1)
"""Of the ideal chain."""
BEYOND = 1.15
"""The ideal chain ends at this multiple of the highest rate's bits."""
SHOWN_FROM = 0.3
"""Pictures of the ideal chain are looked at from this share of the lowest rate's bits on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """One real stream."""

    growth: float
    """Of the schedule, by which a step raises the ratio in the finest octave."""
    rate: float | None
    """Bits per pixel aimed at; None for a stream of a number of bytes."""
    target: int
    """Bytes."""
    report: EncodeReport
    ratio: float | None
    """Its bits over those of the ideal chain at the same PSNR; None if not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """What a receiver's share of a step costs beside one evaluation, at full size."""

    length: int
    """Bytes of the step."""
    reproduce_seconds: float
    """Rotation and sample."""
    evaluation_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """All about one picture."""

    image: str
    width: int
    height: int
    ideal: Sequence[tuple[float, float]]
    """(bits, PSNR in dB) along the ideal chain."""
    ideal_evaluations: float
    streams: Sequence[Streamed]
    reproduction: Sequence[Reproduction]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A picture to look at."""

    path: Path
    model: Callable[[], Model]
    growths: tuple[float, ...]
    """Of schedules besides the default one."""
    rates: tuple[float, ...] = RATES
    sizes: tuple[int, ...] = SIZES


def compared(task: Task) -> Compared:
    """Walk the ideal chain of a picture, encode it for real, and take the time of a step."""
    picture, model = load_picture(task.path), task.model()
    height, width = picture.shape[:2]
    pixels = height * width
    chain = IdealChain(picture, model)
    chain.walk(
        show_from=SHOWN_FROM * min(task.rates) * pixels, end=BEYOND * max(task.rates) * pixels
    )
    # What is compiled on first use is not to count for the first stream.
    default = usual(shaped=model.shaped)
    encoded(picture, model, min(task.sizes), default)
    streams = []
    for growth in dict.fromkeys((default.growth, *task.growths)):
        plan = schedule(growth, default)
        targets: list[tuple[float | None, int]] = [(None, size) for size in task.sizes]
        targets += [(rate, int(rate * pixels / 8)) for rate in task.rates]
        for rate, target in targets:
            report = encoded(picture, model, target, plan)
            found = chain.bits_at(report.psnr) if rate else None
            streams.append(
                Streamed(
                    growth=growth,
                    rate=rate,
                    target=target,
                    report=report,
                    ratio=8 * report.bytes / found if found else None,
                )
            )
    return Compared(
        image=task.path.name,
        width=width,
        height=height,
        ideal=chain.shown,
        ideal_evaluations=chain.evaluations,
        streams=streams,
        reproduction=[
            reproduction(model, height, width, max(8, round(share * pixels / 8)))
            for share in (default.full_step, 4 * default.full_step)
        ],
    )


class IdealChain:
    """An ideal chain over a picture, (H, W, 3)."""

    def __init__(
        self, picture: NDArray[np.uint8], model: Model, *, plan: Schedule = FINEST
    ) -> None:
        self.bits = 0.0
        self.evaluations = 0.0
        self.shown: list[tuple[float, float]] = []
        """(bits, PSNR in dB), as far as looked at."""
        self._picture = picture
        self._model = model
        self._plan = plan
        self._octaves = [octaves.signal(picture)]
        for _ in octaves.sizes(*picture.shape[:2])[1:]:
            self._octaves.append(octaves.means(self._octaves[-1]))
        self._ideal = Ideal(seed=0, number=0)
        self._chain = self._holding(None)

    @property
    def observation(self) -> Observation:
        """What a receiver would know by now."""
        return self._chain.observation

    def walk(self, *, show_from: float, end: float) -> None:
        """Go on to ``end`` bits, or the plan's top; look at pictures from ``show_from`` on."""
        while self.bits < end and self._step():
            if self.bits >= show_from:
                shown = octaves.picture(self._chain.mean(self._chain.now()))
                self.shown.append((self.bits, psnr(shown, self._picture)))
        self.evaluations += self._chain.evaluations

    def bits_at(self, quality: float) -> float | None:
        """Return the bits at which the chain reaches a PSNR of ``quality`` dB; None outside."""
        bits, seen = np.array(self.shown).T
        # Noise may let a picture be worse than one before by some 0.001 dB.
        reached = np.maximum.accumulate(seen)
        if not reached[0] <= quality <= reached[-1]:
            return None
        return float(np.exp(np.interp(quality, reached, np.log(bits))))

    def _step(self) -> bool:
        chain, before = self._chain, self._chain.observation
        planned = self._plan.next(before, self._missing())
        if planned is None:
            return False
        kind, delta = planned
        predicted = chain.prediction(kind)
        shift = np.float32(sqrt(delta)) * chain.error(kind, self._truth(kind))
        y = self._ideal.simulate(shift).sample.values
        if kind is Kind.REFINE:
            after = before.refined(predicted, y, delta)
        else:
            after = before.opened(predicted, y.reshape(predicted.shape), chain.finer)
        self.bits += information(shift)
        self.evaluations += chain.evaluations
        self._chain = self._holding(after)
        return True

    def _missing(self) -> float:
        """Return the energy per value of the detail that the next octave would add."""
        observation = self._chain.observation
        if not observation.octave or not observation.snr:
            return 0.0
        error = self._chain.error(Kind.OPEN, self._truth(Kind.OPEN))
        return float(np.mean(np.square(error, dtype=np.float64)))

    def _truth(self, kind: Kind) -> NDArray[np.float32]:
        """Return the octave that a step of ``kind`` is about."""
        return self._octaves[self._chain.observation.octave - (kind is Kind.OPEN)]

    def _holding(self, observation: Observation | None) -> Chain:
        """Return a chain at ``observation``: what it has evaluated is of that observation alone."""
        height, width = self._picture.shape[:2]
        code = self._plan.ratio if self._model.shaped else WHITE_RATIO
        chain = Chain(self._model.denoiser, height=height, width=width, seed=0, ratio=ratio(code))
        if observation is not None:
            chain.observation = observation
        return chain


def schedule(growth: float, default: Schedule) -> Schedule:
    """Return the ``default`` schedule with all steps shorter, or longer, by one factor."""
    share = log(growth) / log(default.growth)
    return replace(default, growth=growth, full_step=default.full_step * share)


def encoded(picture: NDArray[np.uint8], model: Model, target: int, plan: Schedule) -> EncodeReport:
    """Encode to a file of ``target`` bytes and return the account of it."""
    encoder = Encoder(picture, model, target_bytes=target, schedule=plan)
    with tempfile.NamedTemporaryFile(suffix=".dfc") as file:
        for piece in encoder:
            file.write(piece)
        file.flush()
        size = Path(file.name).stat().st_size
    report = encoder.report()
    # The file is what is compared; the account has to agree with it.
    return replace(report, bytes=size)


def reproduction(model: Model, height: int, width: int, length: int) -> Reproduction:
    """Take the time of a refinement of ``length`` bytes, without and with its evaluation."""
    dims = octaves.dimensions((height, width))
    rng = np.random.default_rng(0)
    payload = rng.bytes(length)
    eta = rng.standard_normal((octaves.CHANNELS, height, width), np.float32)
    simulator = SIMULATORS[Simulator.TRELLIS]

    def reproduce() -> None:
        sample = simulator.reproduce(payload, dims, length, Address(0, 1))
        Rotation(dims, seed=0, address=1).inverse(sample.values)

    return Reproduction(
        length=length,
        reproduce_seconds=_seconds(reproduce),
        evaluation_seconds=_seconds(lambda: model.denoiser(eta, 1.0)),
    )


def _seconds(action: Callable[[], object], times: int = 5) -> float:
    """Return the median processor time of ``action``, after a first time that does not count."""
    action()
    taken = []
    for _ in range(times):
        began = time.process_time()
        action()
        taken.append(time.process_time() - began)
    return float(np.median(taken))
