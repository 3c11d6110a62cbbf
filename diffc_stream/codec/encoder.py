"""The sender's half: a picture to a stream, step by step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import log2, sqrt

import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel import trellis, viterbi
from diffc_stream.codec.chain import Chain
from diffc_stream.codec.schedule import Schedule, step_length
from diffc_stream.codec.simulators import SIMULATORS
from diffc_stream.container import Header, Kind, Simulator, Step, StreamWriter
from diffc_stream.container.grammar import MAX_LENGTH, MAX_SIDE, delta, nearest_delta
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.model import Model
from diffc_stream.errors import PictureTooLarge, SimulationError, TargetError
from diffc_stream.metrics import bits_per_pixel, psnr

Floats = NDArray[np.float32]

FARTHEST = 0.15
"""How far, in octaves, a step's length may be moved for a description of one byte."""
SMALLEST_STEP = 24
"""Bytes; a target's remainder below this joins the step before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeReport:
    """What a stream cost and brought."""

    bytes: int
    bpp: float
    psnr: float
    """Of the mmse picture, in dB."""
    steps: int
    evaluations: float
    """Denoiser evaluations in full-resolution equivalents, that of the last picture included."""
    ideal_bits: float
    """Sum over the steps of -(D/2) log2(1 - r^2), r the cosine between sample and error."""
    state_noise: float
    """Variance of (eta - snr x) / sqrt(snr); 1 for an ideal observation."""
    side_information_bytes: int
    seconds: float
    rcc_seconds: float
    """Of them, spent in reverse channel coding."""


class Encoder:
    """Encode a picture; iterate to get the stream's bytes as they are computed.

    ``picture`` is 8-bit sRGB, (H, W, 3).  With ``target_bytes`` the stream ends there, at most
    2 % or 20 bytes early unless it reaches top quality first; without, it goes on to top
    quality, and any prefix of it is a stream.  The same picture, model and seed give the same
    bytes on one machine.  Every step is coded by ``simulator``; all but the trellis are for study.

    Raises TargetError for a target too small for any picture, PictureTooLarge for a side of more
    than 65,535 pixels.
    """

    def __init__(
        self,
        picture: NDArray[np.uint8],
        model: Model,
        *,
        target_bytes: int | None = None,
        seed: int = 0,
        schedule: Schedule | None = None,
        simulator: Simulator = Simulator.TRELLIS,
    ) -> None:
        height, width = picture.shape[:2]
        if max(height, width) > MAX_SIDE:
            raise PictureTooLarge(
                f"a picture of {width}x{height}: no side may have more than {MAX_SIDE} pixels"
            )
        self.chain = Chain(model.denoiser, height=height, width=width, seed=seed)
        self._picture = picture
        self._target = target_bytes
        self._schedule = schedule or Schedule()
        self._named = simulator
        self._simulator = SIMULATORS[simulator]
        self._header = Header(model=model.fingerprint, width=width, height=height, seed=seed)
        self._writer = StreamWriter()
        self._octaves = [octaves.signal(picture)]
        for _ in self.chain.sizes[1:]:
            self._octaves.append(octaves.means(self._octaves[-1]))
        self._errors: dict[Kind, Floats] = {}
        self._ideal_bits = 0.0
        self._seconds = self._rcc_seconds = 0.0
        smallest = (
            len(self._header.encode())
            + 8
            + trellis.fewest_bits(self.chain.dimensions(Kind.REFINE)) // 8
        )
        if target_bytes is not None and target_bytes < smallest:
            raise TargetError(
                f"{target_bytes} bytes are too few: this picture needs at least {smallest}"
            )

    def __iter__(self) -> Iterator[bytes]:
        """Yield the stream in pieces, each ending where a step or the stream ends."""
        pieces = self._pieces()
        while True:
            began = time.perf_counter()
            piece = next(pieces, None)
            self._seconds += time.perf_counter() - began
            if piece is None:
                return
            yield piece

    @property
    def written(self) -> int:
        """Bytes yielded so far."""
        return self._writer.written

    def report(self) -> EncodeReport:
        """Return the account of the stream as far as it has been written."""
        chain, x = self.chain, self._octaves
        full = octaves.picture(chain.mean(chain.now()))
        height, width = chain.sizes[0]
        return EncodeReport(
            bytes=self.written,
            bpp=bits_per_pixel(self.written, width, height),
            psnr=psnr(full, self._picture),
            steps=chain.steps,
            evaluations=chain.evaluations,
            ideal_bits=self._ideal_bits,
            state_noise=chain.observation.noise_variance(x[self._octave]),
            side_information_bytes=self.written - self._writer.payload,
            seconds=self._seconds,
            rcc_seconds=self._rcc_seconds,
        )

    @property
    def _octave(self) -> int:
        return self.chain.observation.octave

    def _pieces(self) -> Iterator[bytes]:
        head = self._writer.header(self._header)
        while (planned := self._plan()) is not None:
            kind, wanted, length = planned
            step = self._step(kind, wanted, length)
            if step is None:
                break
            yield head + step
            head = b""
        if head:
            raise TargetError(f"{self._target} bytes are too few for a step of this picture")
        yield self._writer.check()

    def _plan(self) -> tuple[Kind, float, int] | None:
        """Return the next step's kind, the delta to aim at, and its length in bytes."""
        observation = self.chain.observation
        missing = self._energy(Kind.OPEN) if observation.octave and observation.snr else 0.0
        planned = self._schedule.next(observation, missing)
        if planned is None:
            return None
        kind, wanted = planned
        dims = self.chain.dimensions(kind)
        length = step_length(wanted * self._energy(kind), dims)
        spent = length
        if kind is Kind.REFINE:
            stretched = self._schedule.stretched(observation, length)
            spent = min(stretched, max(length, dims // 16))
        spent = self._short(kind, spent)
        if kind is Kind.REFINE:
            # Gain in proportion to what is spent, which is near enough for steps so short.
            wanted *= spent / length
        if self._named is not Simulator.TRELLIS:
            # It takes the bytes that it takes; these are the most it may.
            return kind, wanted, self._room(kind)
        if self._target is None:
            return kind, wanted, spent
        return self._fitted(kind, wanted, spent, self._target - self.written)

    def _short(self, kind: Kind, length: int) -> int:
        """Return the length nearest to ``length`` that a short description can give."""
        dims = self.chain.dimensions(kind)
        least, most = trellis.fewest_bits(dims) // 8, max(1, dims // 16)
        described = [n for n in self._writer.before.lengths(kind) if least <= n <= most]
        nearest = min(described, key=lambda n: abs(log2(n / length)), default=length)
        return nearest if abs(log2(nearest / length)) < FARTHEST else length

    def _fitted(
        self, kind: Kind, wanted: float, length: int, left: int
    ) -> tuple[Kind, float, int] | None:
        """Fit a planned step into ``left`` bytes, so that what remains after it can be used."""
        size = self._writer.size(Step(kind=kind, length=length), checked=False)
        octave = self.chain.finer if kind is Kind.OPEN else self.chain.observation.size
        least_next = trellis.fewest_bits(octaves.dimensions(octave)) // 8
        share = 4 if kind is Kind.OPEN else 3
        if left - size >= max(SMALLEST_STEP, size // share, least_next + 16):
            return kind, wanted, length
        # What would be left is of no use, neither after a refinement nor in an octave just opened:
        # spend it here.
        kind = Kind.REFINE
        dims = self.chain.dimensions(kind)
        length = min(self._room(kind), max(1, dims // 16))
        least = trellis.fewest_bits(dims) // 8
        return (kind, wanted, length) if length >= least else None

    def _room(self, kind: Kind) -> int:
        """Return the bytes of payload that are left to the target, a last check considered."""
        if self._target is None:
            return MAX_LENGTH - 1
        left = self._target - self.written
        length = max(0, left)
        while (
            length
            and self._writer.size(
                Step(kind=kind, simulator=self._named, length=length), checked=True
            )
            > left
        ):
            length -= 1
        return length

    def _energy(self, kind: Kind) -> float:
        return float(np.mean(np.square(self._error(kind), dtype=np.float64)))

    def _error(self, kind: Kind) -> Floats:
        """Return what the receiver's prediction for a step of ``kind`` misses, shape (D,)."""
        if kind not in self._errors:
            if kind is Kind.REFINE:
                truth = self._octaves[self._octave]
            else:
                truth = octaves.details(self._octaves[self._octave - 1])
            self._errors[kind] = (truth - self.chain.prediction(kind)).reshape(-1)
        return self._errors[kind]

    def _step(self, kind: Kind, wanted: float, length: int) -> bytes | None:
        """Execute a step that aims at gaining ``wanted``; None if there is no room for any."""
        error = self._error(kind)
        began = time.perf_counter()
        rotated = self.chain.rotation(kind).forward(error)
        simulated = None
        while simulated is None:
            if kind is Kind.REFINE:
                wanted = delta(nearest_delta(wanted))
            shift = rotated * np.float32(sqrt(wanted))
            try:
                simulated = self._simulator.simulate(shift, length, self.chain.address)
            except SimulationError:
                # An exact simulator takes as many bytes as the shift costs.  The detail of an
                # octave comes across wholly or not at all; of a refinement less will do.
                if kind is Kind.OPEN or wanted <= delta(0):
                    return None
                wanted /= 2
        self._rcc_seconds += time.perf_counter() - began
        self._ideal_bits += ideal_bits(shift, simulated.sample.values)
        # With this delta, what the sample holds besides signal is orthogonal to the error.
        gained = max(wanted * min(simulated.gain**2, 16.0), delta(0))
        step = Step(
            kind=kind,
            simulator=self._named,
            length=len(simulated.payload),
            delta_code=nearest_delta(gained) if kind is Kind.REFINE else 0,
        )
        self.chain.advance(step, simulated.payload)
        self._errors.clear()
        return self._writer.step(step, simulated.payload)


def prepare() -> None:
    """Have everything compiled that encoding compiles: some seconds the first time on a machine.

    Otherwise the first step of the first picture waits for it.
    """
    viterbi.prepare()


def ideal_bits(shift: Floats, sample: Floats) -> float:
    """Return the bits of an ideal code for a sample that leans as much towards ``shift``.

    Both have shape (D,); that is -(D/2) log2(1 - r^2), r the cosine between them; 0 for a shift of
    zeros.
    """
    energy = float(np.dot(shift, shift)) * float(np.dot(sample, sample))
    if energy == 0.0:
        return 0.0
    cosine = float(np.dot(shift, sample)) ** 2 / energy
    return -shift.size / 2 * log2(max(1.0 - cosine, 1e-12))
