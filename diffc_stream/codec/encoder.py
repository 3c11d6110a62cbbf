"""The sender's half: it turns a picture into a stream, step by step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel import viterbi
from diffc_stream.channel.simulator import Simulation
from diffc_stream.codec import allowance, beginning
from diffc_stream.codec.after import After
from diffc_stream.codec.encode_report import EncodeReport, ideal_bits
from diffc_stream.codec.energy import mean_square
from diffc_stream.codec.held import Held
from diffc_stream.codec.schedule import Schedule, described_length, step_length, usual
from diffc_stream.codec.simulators import SIMULATORS
from diffc_stream.container import (
    About,
    Begun,
    Check,
    Header,
    Kind,
    Metadata,
    Prefix,
    Simulator,
    Step,
    StreamWriter,
)
from diffc_stream.container.grammar import (
    CHECK_SIZE,
    MAX_LENGTH,
    MAX_SIDE,
    WHITE_RATIO,
    delta,
    nearest_delta,
)
from diffc_stream.container.metadata import NOTHING
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.model import Model
from diffc_stream.errors import (
    CorruptStream,
    PictureTooLarge,
    PrefixMismatch,
    SimulationError,
    TargetError,
)
from diffc_stream.metrics import bits_per_pixel, psnr

Floats = NDArray[np.float32]

WORTH_BEGINNING = 0.9
"""An opening is begun only if at least this share of it fits the target."""
FACTS_AFTER = 8
"""Facts about the picture wait until the picture itself has this many times as many bytes."""


class Encoder:
    """Encode a picture.  Iterate over the encoder to get the stream's bytes as they are computed.

    ``picture`` is 8-bit sRGB, (H, W, 3).  The stream goes on to top quality, or is cut after
    ``target_bytes``, most likely within a step: any prefix of a stream is a stream.  An opening is
    not begun, though, if the target leaves room for too little of it.  The same picture, model and
    seed give the same bytes on the same machine.  ``simulator`` is what codes every step; those
    other than the trellis are for study.

    To go on with an earlier stream of this picture by this model, pass its bytes, cut anywhere, as
    ``prefix``.  The encoder then yields an empty piece for each step of the prefix, and after those
    the bytes that follow the prefix; the target, ``written`` and the report count the whole stream.
    Each step of the prefix costs an evaluation, but no search.  If the prefix ends within a step,
    that step is coded again and has to begin with the bytes that are there; on the machine that
    made them it does.  ``seed`` defaults to the prefix's, or else to 0; the ratio of shaped noise
    is the prefix's, or else the schedule's.

    With a ``reference``, a picture that the receiver has already, the stream starts from that, if
    it helps at all and the model knows shaped noise.

    ``metadata`` goes into the stream some hundred bytes after its beginning, unless a prefix is of
    a version that cannot hold it, or contains metadata already.

    Raises TargetError for a target too small for any picture or not beyond the prefix,
    PictureTooLarge for a side of more than 65,535 pixels, and PrefixMismatch for a prefix that is
    damaged or has another header than this stream, MissingReference if it starts from another
    reference.  Iterating raises PrefixMismatch where only the
    steps tell: if they are of another picture, or the last one comes out differently.
    """

    def __init__(
        self,
        picture: NDArray[np.uint8],
        model: Model,
        *,
        target_bytes: int | None = None,
        seed: int | None = None,
        prefix: bytes = b"",
        schedule: Schedule | None = None,
        simulator: Simulator = Simulator.TRELLIS,
        metadata: Metadata = NOTHING,
        reference: Held | None = None,
    ) -> None:
        height, width = picture.shape[:2]
        if max(height, width) > MAX_SIDE:
            raise PictureTooLarge(
                f"a picture of {width}x{height}: no side may have more than {MAX_SIDE} pixels"
            )
        self._prefix = Prefix(prefix)
        self._schedule = schedule or usual(shaped=model.shaped)
        self._facts = metadata.encode()
        self._header, known = beginning.beginning(
            Header(
                model=model.fingerprint,
                width=width,
                height=height,
                seed=seed or 0,
                ratio=self._schedule.ratio if model.shaped else WHITE_RATIO,
                about=bool(self._facts),
            ),
            self._prefix,
            picture,
            reference,
            shaped=model.shaped,
            seeded=seed is not None,
        )
        if not self._header.about:
            self._facts = b""
        self._begun: Begun | None = None
        self.chain = beginning.chain(self._header, model, known)
        self._picture = picture
        self._target = target_bytes
        self._named = simulator
        self._writer = StreamWriter()
        # Not the finest octave, which is computed when needed: it is as large as any array here.
        self._coarser: list[Floats] = []
        x = octaves.signal(picture)
        for _ in self.chain.sizes[1:]:
            x = octaves.means(x)
            self._coarser.append(x)
        self._errors: dict[Kind, Floats] = {}
        self._ideal_bits = 0.0
        self._seconds = self._rcc_seconds = 0.0
        self._cut: After | None = None
        if target_bytes is not None:
            beginning.check(self._header, target_bytes, len(prefix))

    def __iter__(self) -> Iterator[bytes]:
        """Yield the stream in pieces, each ending where a step or the stream ends."""
        pieces = self._prefix.beyond(self._pieces())
        while True:
            began = time.perf_counter()
            piece = next(pieces, None)
            self._seconds += time.perf_counter() - began
            if piece is None:
                return
            yield piece

    @property
    def head(self) -> int:
        """Bytes of the stream's header."""
        return len(self._header.encode())

    @property
    def written(self) -> int:
        """Bytes of the stream that have been written so far."""
        written = self._writer.written
        return written if self._target is None else min(written, self._target)

    def report(self) -> EncodeReport:
        """Return the report on the stream as far as it has been written."""
        chain = self.chain
        after = self._cut or chain.now()
        full = octaves.picture(chain.mean(after))
        # A cut opening leaves detail without noise, so take the octave before it: it is complete.
        seen = after.observation if after.observation.octave == self._octave else chain.observation
        height, width = chain.sizes[0]
        return EncodeReport(
            bytes=self.written,
            bpp=bits_per_pixel(self.written, width, height),
            psnr=psnr(full, self._picture),
            steps=chain.steps + (self._cut is not None),
            evaluations=chain.evaluations,
            ideal_bits=self._ideal_bits,
            state_noise=seen.noise_variance(self._truth(self._octave)),
            side_information_bytes=self.written - self._writer.payload,
            reference=chain.reference is not None,
            seconds=self._seconds,
            rcc_seconds=self._rcc_seconds,
        )

    @property
    def _octave(self) -> int:
        return self.chain.observation.octave

    def _pieces(self) -> Iterator[bytes]:
        """Yield the stream from its start."""
        head = self._writer.header(self._header)
        for record in self._records():
            # The target may lie within a check that is due after the prefix.
            over = self._writer.written - self.written
            yield (head + record)[: len(head) + len(record) - over]
            head = b""

    def _records(self) -> Iterator[bytes]:
        yield from self._replayed()
        self._begun = self._prefix.begun
        while self._left > 0:
            if about := self._about():
                yield about
            planned = self._plan() if self._left > 0 else None
            step = self._step(*planned) if planned else None
            if step is None:
                break
            yield step
            self._begun = None
        if self._left >= CHECK_SIZE:
            yield self._writer.check()

    def _about(self) -> bytes:
        """Return the facts about the picture, once, as soon as they weigh little."""
        due = FACTS_AFTER * len(self._facts)
        if not self._facts or self._begun is not None:
            return b""
        if self._writer.written < due and not self._prefix.about:
            return b""
        facts, self._facts = self._facts, b""
        return self._writer.about(facts)

    def _replayed(self) -> Iterator[bytes]:
        for record in self._prefix.records:
            if isinstance(record, About):
                self._facts = b""
                yield self._writer.about(record.facts)
            elif not isinstance(record, Check):
                yield self._replay(*record)
            elif check := self._writer.check():  # empty if the check was due: the step had it
                yield check

    def _replay(self, step: Step, payload: bytes) -> bytes:
        """Execute a step of the prefix as the receiver does, and return its bytes."""
        self._admit(step)
        error = self.chain.rotation(step.kind).forward(self._error(step.kind))
        sample = SIMULATORS[step.simulator].reproduce(
            payload, error.size, step.length, self.chain.address
        )
        if not sample.leans(error):
            raise PrefixMismatch("the prefix is of another picture")
        self._ideal_bits += ideal_bits(error, sample.values)
        self.chain.advance(step, payload)
        self._errors.clear()
        return self._writer.step(step, payload)

    def _admit(self, step: Step) -> None:
        try:
            self.chain.admit(step)
        except CorruptStream as error:
            raise PrefixMismatch(f"the prefix cannot be extended: {error}") from error

    @property
    def _left(self) -> float:
        """Bytes left before the target."""
        return inf if self._target is None else self._target - self.written

    def _plan(self) -> tuple[Kind, float, int] | None:
        """Return the next step's kind, the delta to aim at, and its length in bytes."""
        observation = self.chain.observation
        missing = self._energy(Kind.OPEN) if observation.octave and observation.snr else 0.0
        planned = self._schedule.next(observation, missing)
        # A simulator may use fewer bytes than the allowance asks for; then no step may follow.
        if planned is None or not allowance.allows(self.chain.work, self.written):
            return None
        kind, wanted = planned
        dims = self.chain.dimensions(kind)
        length = step_length(wanted * self._energy(kind), dims)
        if kind is Kind.OPEN and self._gives_way(length):
            # The same bytes gain more by refining this octave than as the start of an opening.
            kind, wanted = Kind.REFINE, (self._schedule.growth - 1.0) * observation.snr
            dims = self.chain.dimensions(kind)
            length = step_length(wanted * self._energy(kind), dims)
        spent = length
        if kind is Kind.REFINE:
            stretched = self._schedule.stretched(observation, length)
            spent = min(stretched, max(length, dims // 16))
        least = allowance.least(self.chain.work + self.chain.cost, self.written)
        described = self._writer.before.lengths(kind)
        spent = described_length(max(spent, min(least, dims // 16)), dims, described)
        if kind is Kind.REFINE:
            # Steps are so short that gain is nearly proportional to length.
            wanted *= spent / length
        begun = self._begun
        if begun is not None:
            if begun.kind is not kind:
                raise self._prefix.differs()
            if begun.length is not None:
                self._admit(Step(kind=kind, simulator=begun.simulator, length=begun.length))
                spent = begun.length
        if self._simulator is not Simulator.TRELLIS:
            # Exact simulators choose their own length; this is only the most they may take.
            return kind, wanted, MAX_LENGTH - 1
        return kind, wanted, spent

    @property
    def _simulator(self) -> Simulator:
        """The simulator that codes the next step."""
        return self._named if self._begun is None else self._begun.simulator

    def _gives_way(self, length: int) -> bool:
        """Return whether refining is better than an opening of ``length`` bytes."""
        if self._begun is not None:
            return self._begun.kind is Kind.REFINE
        return self._left < WORTH_BEGINNING * length

    def _truth(self, octave: int) -> Floats:
        return self._coarser[octave - 1] if octave else octaves.signal(self._picture)

    def _energy(self, kind: Kind) -> float:
        return mean_square(self._error(kind))

    def _error(self, kind: Kind) -> Floats:
        """Return the error of the receiver's prediction for a step of ``kind``, shape (D,)."""
        if kind not in self._errors:
            truth = self._truth(self._octave - (kind is Kind.OPEN))
            self._errors[kind] = self.chain.error(kind, truth)
        return self._errors[kind]

    def _step(self, kind: Kind, wanted: float, length: int) -> bytes | None:
        """Execute a step that aims at a delta of ``wanted``; None if the simulator cannot."""
        error = self._error(kind)
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
                simulated = SIMULATORS[self._simulator].simulate(shift, length, self.chain.address)
            except SimulationError:
                # An exact simulator takes as many bytes as the shift costs, here too many.  A
                # refinement may gain less instead; an opening has to transmit all of its detail.
                if not self.chain.steps:
                    raise
                if kind is Kind.OPEN or wanted <= delta(0):
                    return None
                wanted /= 2
        self._rcc_seconds += time.perf_counter() - began
        del rotated
        # This choice of delta makes the sample's noise orthogonal to the error.
        gained = max(wanted * min(simulated.gain**2, 16.0), delta(0))
        step = Step(
            kind=kind,
            simulator=self._simulator,
            length=len(simulated.payload),
            delta_code=nearest_delta(gained) if kind is Kind.REFINE else 0,
        )
        if self._writer.size(step) > self._left:
            return self._last(step, simulated, shift)
        self._ideal_bits += ideal_bits(shift, simulated.sample.values)
        payload = simulated.payload
        del shift, simulated
        self.chain.advance(step, payload)
        return self._writer.step(step, payload)

    def _last(self, step: Step, simulated: Simulation, shift: Floats) -> bytes:
        """Return the part of ``step`` that fits the target: the last bytes of the stream."""
        data, contained = self._writer.cut(step, simulated.payload, int(self._left))
        self._cut = self.chain.after(step, simulated.payload[:contained])
        there = round(self._cut.received * shift.size)
        if not there and not self.chain.steps:
            raise TargetError(f"{self._target} bytes are too few for any of this picture")
        self._ideal_bits += ideal_bits(shift[:there], simulated.sample.values[:there])
        return data


def prepare() -> None:
    """Compile what encoding needs, which takes some seconds the first time on a machine.

    Without this call, the first step of the first picture waits for it.
    """
    viterbi.prepare()
