"""The sender's half for clips: it turns pictures that follow one another into one stream.

The stream goes through levels of quality.  At each level every picture, in the order of coding,
gets a new second estimate of what its sources have come to, if that saves more than it takes, and
then steps until its error is small enough.  Anything here can change without a new format: the
stream says what came of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from diffc_stream.clips.group import Group
from diffc_stream.clips.inheritance import Inheritance
from diffc_stream.clips.seconds import chosen, error
from diffc_stream.clips.stride import stride
from diffc_stream.codec import allowance
from diffc_stream.codec.after import After
from diffc_stream.codec.forecast import SIGNAL_RANGE
from diffc_stream.codec.schedule import Schedule, usual
from diffc_stream.codec.stepper import Stepper
from diffc_stream.container import Clip, Header, Metadata, Motion, Second, Simulator, StreamWriter
from diffc_stream.container.clip import LONGEST, MOST_PICTURES
from diffc_stream.container.grammar import CHECK_SIZE, MAX_SIDE
from diffc_stream.container.metadata import NOTHING
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.model import Model
from diffc_stream.errors import PictureTooLarge, TargetError, UnsupportedStream
from diffc_stream.metrics import psnr

Picture = NDArray[np.uint8]

FIRST = 4.0
"""PSNR of the first level in dB.  Pictures that others start from get as much more as that is
worth, the first one most."""
PASSED_ON = 0.3
"""What of an inheritance counts: the error of a picture is divided by its heirs to this power.
With more of it, pictures that others start from are so good that the others fall behind."""
PRICED = 0.2
"""Weight of the last step in the price of a byte."""
FINER = 2.0
"""dB from each level to the next."""
LAST = 48.0
"""PSNR of the last level in dB."""
FACTS_AFTER = 8
"""Facts about the clip wait until its pictures have this many times as many bytes."""
MOST_TURN = 3
"""Most bytes of a turn to another picture."""
SMALLEST = 32
"""Fewest bytes of a stream after its header."""


class ClipEncoder:
    """Encode pictures that follow one another.  Iterate to get the stream's bytes.

    ``pictures`` are 8-bit sRGB, (H, W, 3), all of one size, two to 1,024 of them; each is shown for
    ``milliseconds``.  The stream goes on to top quality, or is cut after ``target_bytes``, most
    likely within a step.  The model has to know shaped noise.  ``metadata`` goes into the stream
    some hundred bytes after its beginning.

    Raises TargetError for a target that is too small, PictureTooLarge for sides of more than 65,535
    pixels or too many pixels in all, UnsupportedStream for other models, ValueError for pictures
    that differ in size, fewer or more of them than a clip can have, ``milliseconds`` that are not 1
    to 60,000, and a seed that is not 0 to 2^32 - 1.
    """

    def __init__(
        self,
        pictures: Sequence[Picture],
        model: Model,
        *,
        milliseconds: int,
        target_bytes: int | None = None,
        seed: int = 0,
        schedule: Schedule | None = None,
        metadata: Metadata = NOTHING,
    ) -> None:
        if not model.shaped:
            raise UnsupportedStream("this model knows white noise only; clips need another one")
        if not 2 <= len(pictures) <= MOST_PICTURES:
            raise ValueError(f"a clip has 2 to {MOST_PICTURES:,} pictures, not {len(pictures):,}")
        if not 1 <= milliseconds <= LONGEST:
            raise ValueError(f"a picture is shown 1 to {LONGEST:,} ms, not {milliseconds:,}")
        if len({picture.shape for picture in pictures}) != 1:
            raise ValueError("the pictures of a clip have to have one size")
        height, width = pictures[0].shape[:2]
        if max(height, width) > MAX_SIDE:
            raise PictureTooLarge(
                f"pictures of {width}x{height}: no side may have more than {MAX_SIDE} pixels"
            )
        schedule = schedule or usual(shaped=True)
        self.header = Header(
            model=model.fingerprint,
            width=width,
            height=height,
            seed=seed,
            ratio=schedule.ratio,
            about=True,
            clip=Clip(pictures=len(pictures), milliseconds=milliseconds, stride=stride(pictures)),
        )
        self.group = Group(self.header, model)
        least = len(self.header.encode()) + SMALLEST
        if target_bytes is not None and target_bytes < least:
            raise TargetError(f"{target_bytes} bytes are too few: this clip needs at least {least}")
        self.steppers = [
            Stepper(chain, picture, schedule)
            for chain, picture in zip(self.group.chains, pictures, strict=True)
        ]
        self.level = FIRST
        """PSNR that the pictures nobody starts from are to have now, in dB."""
        self._inheritance = Inheritance(self.steppers, self.group.sources)
        self._target = inf if target_bytes is None else target_bytes
        self._facts = metadata.encode()
        self._writer = StreamWriter()
        self._done: set[int] = set()
        self._seen: dict[int, list[tuple[int, int]]] = {}
        """What was known of each picture's sources when a second estimate was last tried."""
        self._price = 0.0
        """Mean squared error that steps have lately gained a byte, heirs counted."""
        self._full = False
        self._pictures = pictures
        self._cut: tuple[int, After] | None = None
        """The picture of a step that is there in part at the end, and what is known of it then."""

    @property
    def written(self) -> int:
        """Bytes of the stream that have been written so far."""
        return int(min(self._writer.written, self._target))

    @property
    def steps(self) -> int:
        """Steps so far, of all pictures."""
        return sum(chain.steps for chain in self.group.chains)

    def psnr(self) -> float:
        """Return the mean PSNR of all pictures in dB, as a receiver of the stream sees them.

        Each is rendered for that, so this takes about as long as showing the clip once.
        """
        partly = None if self._cut is None else self._cut[0]
        rendered: dict[int, Picture] = {}
        total = 0.0
        for number, picture in enumerate(self._pictures):
            shown = self.group.nearest(number, partly) or 0
            if shown not in rendered:
                rendered[shown] = self._rendered(shown)
            total += psnr(rendered[shown], picture)
        return total / len(self._pictures)

    def _rendered(self, number: int) -> Picture:
        chain = self.group.chains[number]
        if self._cut is not None and number == self._cut[0]:
            return octaves.picture(chain.mean(self._cut[1]))
        return octaves.picture(chain.mean(chain.now()))

    def __iter__(self) -> Iterator[bytes]:
        """Yield the stream in pieces, each ending where a record or the stream ends."""
        yield self._writer.header(self.header)
        while self.level <= LAST and len(self._done) < len(self.steppers):
            wanted = SIGNAL_RANGE**2 / 10 ** (self.level / 10)
            heirs = self._inheritance.at(wanted)
            for number in self.group.sources:
                yield from self._refined(number, wanted, heirs[number] ** PASSED_ON)
                if self._full:
                    return
            self.level += FINER

    def _refined(self, number: int, wanted: float, heirs: float) -> Iterator[bytes]:
        """Yield what takes a picture to the error ``wanted`` / ``heirs``, or as far as it goes."""
        stepper, chain = self.steppers[number], self.group.chains[number]
        records = self._second(number, self._price / heirs)
        # A check may be due after each of them, the turn included.
        size = MOST_TURN + sum(len(record.encode()) for record in records)
        size += CHECK_SIZE * (1 + len(records))
        if records and self._left > size and self._allowed:
            yield self._told(number, records)
            stepper.moved_on()
        left = error(chain, stepper)
        while number not in self._done and self._allowed and left > wanted / heirs:
            if about := self._about():
                yield about
            step = self._step(number)
            yield step
            if self._full or not step:
                return
            before, left = left, error(chain, stepper)
            self._price += PRICED * (max(before - left, 0.0) * heirs / len(step) - self._price)

    @property
    def _allowed(self) -> bool:
        """Whether so many bytes are worth more computation: more of them may be, later."""
        return allowance.allows(self.group.work, self._writer.written)

    @property
    def _left(self) -> float:
        """Bytes left before the target."""
        return self._target - self._writer.written

    def _about(self) -> bytes:
        """Return the facts about the clip, once, as soon as they weigh little."""
        facts = self._facts
        if not facts or self._writer.written < FACTS_AFTER * len(facts):
            return b""
        if self._left < len(facts) + MOST_TURN + SMALLEST:
            return b""
        self._facts = b""
        return self._writer.about(facts)

    def _told(self, number: int, records: Sequence[Motion | Second]) -> bytes:
        """Take a second estimate, and return its bytes."""
        data = self._writer.turn(number)
        for record in records:
            data += self._writer.told(record)
            if isinstance(record, Motion):
                self.group.moves(number, record)
            else:
                self.group.second(number, record)
        return data

    def _second(self, number: int, price: float) -> list[Motion | Second]:
        """Return the records of a second estimate that is worth its bytes, if there is one.

        There is none if the sources tell nothing new.
        """
        group = self.group
        there = [group.state(source) for source in group.sources[number] if source is not None]
        if self._seen.get(number) == there:
            return []
        self._seen[number] = there
        return chosen(group, self.steppers[number], number, self._inheritance.movements, price)

    def _step(self, number: int) -> bytes:
        """Execute a step and return its bytes, or the beginning of them that fits."""
        stepper, chain = self.steppers[number], self.group.chains[number]
        turn = self._writer.turn(number)
        if self._left < 0:
            self._full = True
            return turn[: len(turn) + int(self._left)]
        plan = stepper.planned()
        if plan is None:
            self._done.add(number)
            return turn
        least = allowance.least(self.group.work + chain.cost, self.written)
        plan = stepper.fitted(plan, self._writer.before.lengths(plan.kind), least)
        coded = stepper.coded(plan, Simulator.TRELLIS)
        assert coded is not None  # The trellis codes anything in any length.
        if self._writer.size(coded.step) > self._left:
            self._full = True
            data, there = self._writer.cut(coded.step, coded.payload, int(self._left))
            if there:
                self._cut = number, chain.after(coded.step, coded.payload[:there])
            return turn + data
        chain.advance(coded.step, coded.payload)
        return turn + self._writer.step(coded.step, coded.payload)
