"""The sender's half: it turns a picture into a stream, step by step."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from diffc_stream.channel import viterbi
from diffc_stream.codec import allowance, beginning
from diffc_stream.codec.after import After
from diffc_stream.codec.encode_report import EncodeReport, ideal_bits
from diffc_stream.codec.held import Held
from diffc_stream.codec.schedule import Schedule, usual
from diffc_stream.codec.simulators import SIMULATORS
from diffc_stream.codec.stepper import Coded, Plan, Stepper
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
)
from diffc_stream.container.metadata import NOTHING
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.model import Model
from diffc_stream.errors import (
    CorruptStream,
    PictureTooLarge,
    PrefixMismatch,
    TargetError,
)
from diffc_stream.metrics import bits_per_pixel, psnr

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
    PictureTooLarge for a side of more than 65,535 pixels, ValueError for a seed that is not 0 to
    2^32 - 1, PrefixMismatch for a prefix that is damaged or has another header than this stream,
    and MissingReference if it starts from another reference, or from less of it.  Iterating raises
    PrefixMismatch where only the steps tell: if they are of another picture, or the last one comes
    out differently.
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
        self._stepper = Stepper(self.chain, picture, self._schedule)
        self._ideal_bits = 0.0
        self._seconds = 0.0
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
        octave = self._stepper.octave
        seen = after.observation if after.observation.octave == octave else chain.observation
        height, width = chain.sizes[0]
        return EncodeReport(
            bytes=self.written,
            bpp=bits_per_pixel(self.written, width, height),
            psnr=psnr(full, self._picture),
            steps=chain.steps + (self._cut is not None),
            evaluations=chain.evaluations,
            ideal_bits=self._ideal_bits,
            state_noise=seen.noise_variance(self._stepper.truth(octave)),
            side_information_bytes=self.written - self._writer.payload,
            reference=chain.reference is not None,
            seconds=self._seconds,
            rcc_seconds=self._stepper.seconds,
        )

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
            step = self._step(planned) if planned else None
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
        error = self.chain.rotation(step.kind).forward(self._stepper.error(step.kind))
        sample = SIMULATORS[step.simulator].reproduce(
            payload, error.size, step.length, self.chain.address
        )
        if not sample.leans(error):
            raise PrefixMismatch("the prefix is of another picture")
        self._ideal_bits += ideal_bits(error, sample.values)
        self.chain.advance(step, payload)
        self._stepper.moved_on()
        return self._writer.step(step, payload)

    def _admit(self, step: Step) -> None:
        try:
            self.chain.admit(step, offset=self.written)
        except CorruptStream as error:
            raise PrefixMismatch(f"the prefix cannot be extended: {error}") from error

    @property
    def _left(self) -> float:
        """Bytes left before the target."""
        return inf if self._target is None else self._target - self.written

    def _plan(self) -> Plan | None:
        """Return the next step."""
        stepper = self._stepper
        plan = stepper.planned()
        # A simulator may use fewer bytes than the allowance asks for; then no step may follow.
        if plan is None or not allowance.allows(self.chain.work, self.written):
            return None
        if plan.kind is Kind.OPEN and self._gives_way(plan.length):
            # The same bytes gain more by refining this octave than as the start of an opening.
            plan = stepper.refinement()
        least = allowance.least(self.chain.work + self.chain.cost, self.written)
        plan = stepper.fitted(plan, self._writer.before.lengths(plan.kind), least)
        begun = self._begun
        if begun is not None:
            if begun.kind is not plan.kind:
                raise self._prefix.differs()
            if begun.length is not None:
                self._admit(Step(kind=begun.kind, simulator=begun.simulator, length=begun.length))
                plan = replace(plan, length=begun.length)
        if self._simulator is not Simulator.TRELLIS:
            # Exact simulators choose their own length; this is only the most they may take.
            plan = replace(plan, length=MAX_LENGTH - 1)
        return plan

    @property
    def _simulator(self) -> Simulator:
        """The simulator that codes the next step."""
        return self._named if self._begun is None else self._begun.simulator

    def _gives_way(self, length: int) -> bool:
        """Return whether refining is better than an opening of ``length`` bytes."""
        if self._begun is not None:
            return self._begun.kind is Kind.REFINE
        return self._left < WORTH_BEGINNING * length

    def _step(self, plan: Plan) -> bytes | None:
        """Execute a step; None if the simulator cannot."""
        coded = self._stepper.coded(plan, self._simulator)
        if coded is None:
            return None
        if self._writer.size(coded.step) > self._left:
            return self._last(coded)
        self._ideal_bits += ideal_bits(coded.shift, coded.simulation.sample.values)
        step, payload = coded.step, coded.payload
        del coded  # each array of a large picture takes much memory
        self.chain.advance(step, payload)
        return self._writer.step(step, payload)

    def _last(self, coded: Coded) -> bytes:
        """Return the part of a step that fits the target: the last bytes of the stream."""
        simulation, shift = coded.simulation, coded.shift
        data, contained = self._writer.cut(coded.step, simulation.payload, int(self._left))
        self._cut = self.chain.after(coded.step, simulation.payload[:contained])
        there = round(self._cut.received * shift.size)
        if not there and not self.chain.steps:
            raise TargetError(f"{self._target} bytes are too few for any of this picture")
        self._ideal_bits += ideal_bits(shift[:there], simulation.sample.values[:there])
        return data


def prepare() -> None:
    """Compile what encoding needs, which takes some seconds the first time on a machine.

    Without this call, the first step of the first picture waits for it.
    """
    viterbi.prepare()
