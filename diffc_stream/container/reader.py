"""Read a stream as it arrives, in pieces of any size."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import tee

from diffc_stream.container.clip import (
    MOST_RECORD,
    MOTION_TAG,
    SECOND_TAG,
    TURN_TAG,
    Motion,
    Second,
    Turn,
)
from diffc_stream.container.grammar import (
    ABOUT_TAG,
    CHECK_DUE,
    CHECK_SIZE,
    CHECK_TAG,
    MAX_LENGTH,
    MOST_ABOUT,
    Before,
    Header,
    Step,
    crc32c,
    segments,
)
from diffc_stream.container.varint import Truncated
from diffc_stream.errors import CorruptStream, StreamError


@dataclass(frozen=True, slots=True)
class Payload:
    """The next bytes of the payload of the step last reported."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """The next ``size`` bytes of the payload of the step last reported will never come."""

    size: int


@dataclass(frozen=True, slots=True)
class Check:
    """A check; ``good`` says whether the bytes since the last check are intact.

    If some of them are lost it cannot say so, and ``good`` is true.
    """

    offset: int
    good: bool


@dataclass(frozen=True, slots=True)
class About:
    """Facts about the picture, as bytes for :meth:`Metadata.parse`; they have been checked."""

    facts: bytes


Event = Header | Step | Payload | Lost | Check | About | Turn | Motion | Second


class StreamReader:
    """Parse a stream fed in pieces into events: Header, then Step, Payload, Check and About.

    A stream of several pictures has Turn, Motion and Second, too.
    A step's payload is complete when as many bytes have come as the step said.  With
    ``damaged``, a failed check is reported and reading goes on; without, it raises.  Bytes of
    payloads and of checks may be skipped, if they are lost: then Lost comes in place of Payload.
    """

    def __init__(self, *, damaged: bool = False) -> None:
        self.header: Header | None = None
        self.received = 0
        """Bytes fed so far, and bytes skipped."""
        self.verified = 0
        """Bytes, from the start, that checks have found intact (the header's own check
        included)."""
        self._damaged = damaged
        self._pending = b""
        self._place = 0
        self._crc = 0
        self.offset = 0
        """Bytes parsed so far."""
        self.began = 0
        """Offset of the step last reported."""
        self._unchecked = 0
        self._before = Before()
        self._befores: dict[int, Before] = {}
        self._picture = 0
        self._segments: Iterator[int] = iter(())
        self._left = 0
        self._check_due = False
        self._about = False
        """Facts about the picture have come, or none can."""
        self._sound = True
        self._lost: list[tuple[int, int]] = []
        """What was skipped and not yet read over: (first, end), as offsets in the stream."""
        self._unknown = False
        """Whether bytes since the last check are lost."""

    def branch(self) -> StreamReader:
        """Return a reader in the same state.  Only between two calls, not while events are read."""
        other = copy.copy(self)
        self._segments, other._segments = tee(self._segments)
        other._lost, other._befores = self._lost[:], dict(self._befores)
        return other

    def skip(self, size: int) -> Iterator[Event]:
        """Read over ``size`` bytes that are lost, as :meth:`feed` reads over those that are not.

        They may belong to payloads, to checks and to facts.  Facts of which a part is lost are
        passed over; a lost part of a header or of the description of a step raises CorruptStream.
        """
        first = self.received
        self._lost.append((first, first + size))
        return self.feed(bytes(size))

    def feed(self, data: bytes) -> Iterator[Event]:
        """Take more bytes and yield the events that they complete.

        Raises NotAStream, UnsupportedStream or CorruptStream; do not feed the reader after that.
        """
        self.received += len(data)
        self._pending = self._pending[self._place :] + data
        self._place = 0
        while self._place < len(self._pending):
            while self._lost and self._lost[0][1] <= self.offset:
                del self._lost[0]
            try:
                event = self._next()
            except Truncated:
                return
            yield event

    def _next(self) -> Event:
        # Of the elements other than headers, facts and payloads, the longest has 7 bytes.
        data = self._pending[self._place : self._place + 32]
        if self.header is None:
            self.header, size = Header.parse(self._pending)
            self._need_known(size)
            self._take(size)
            self.verified = size
            self._about = not self.header.about
            return self.header
        if self._left and not self._check_due:
            return self._payload()
        if self._check_due:
            return self._check(data)
        self._need_known(1)
        if data[0] == CHECK_TAG:
            return self._check(data)
        if data[0] == ABOUT_TAG and not self._about:
            return self._facts()
        if data[0] in (TURN_TAG, MOTION_TAG, SECOND_TAG) and self.header.clip is not None:
            return self._of_clip(self.header.clip.pictures)
        step, size = Step.parse(data, self._before, self.offset)
        self._need_known(size)
        self.began = self.offset
        self._take(size)
        self._before = self._before.after(step)
        self._segments = segments(step.length)
        self._left = next(self._segments)
        return step

    def _of_clip(self, pictures: int) -> Turn | Motion | Second:
        """Return a record that only streams of several pictures have."""
        data, offset = self._pending[self._place : self._place + MOST_RECORD], self.offset
        event: Turn | Motion | Second
        if data[0] == TURN_TAG:
            event, size = Turn.parse(data, pictures, offset)
        elif data[0] == MOTION_TAG:
            event, size = Motion.parse(data, offset)
        else:
            event, size = Second.parse(data, offset)
        self._need_known(size)
        self._take(size)
        self._check_due = self._unchecked >= CHECK_DUE
        if isinstance(event, Turn):
            self._befores[self._picture] = self._before
            self._picture = event.picture
            self._before = self._befores.get(self._picture, Before())
        return event

    def _payload(self) -> Payload | Lost:
        known = self._known()
        size = min(self._left, len(self._pending) - self._place, known or self._lost_here())
        piece = self._take(size)
        self._left -= size
        if not self._left:
            self._left = next(self._segments, 0)
            self._check_due = self._unchecked >= CHECK_DUE
        if known:
            return Payload(piece)
        self._unknown = True
        return Lost(size)

    def _known(self) -> int:
        """Return how many bytes from here on are not lost, as far as anybody has said."""
        return max(0, self._lost[0][0] - self.offset) if self._lost else MAX_LENGTH

    def _lost_here(self) -> int:
        return self._lost[0][1] - self.offset

    def _need_known(self, size: int) -> None:
        if self._known() < size:
            raise CorruptStream("bytes that say what follows are lost", offset=self.offset)

    def _check(self, data: bytes) -> Check:
        offset = self.offset
        if self._known() > 0 and data[0] != CHECK_TAG:
            raise CorruptStream("a check should stand here", offset=offset)
        if len(data) < CHECK_SIZE:
            raise Truncated
        stated = int.from_bytes(data[1:CHECK_SIZE], "little")
        unknown = self._unknown or self._known() < CHECK_SIZE
        good = unknown or stated == self._crc & 0xFFFF
        if not good and not self._damaged:
            raise CorruptStream("the stream is damaged: a check failed", offset=offset)
        self._take(CHECK_SIZE)
        self._crc = self._unchecked = 0
        self._check_due = self._unknown = False
        self._sound = self._sound and good and not unknown
        if self._sound:
            self.verified = self.offset
        return Check(offset=offset, good=good)

    def _facts(self) -> Event:
        """Return facts if they are as they were written, or a check that failed."""
        offset, head = self.offset, self._pending[self._place : self._place + 2]
        if len(head) < 2:
            raise Truncated
        self._need_known(2)
        if not 1 <= head[1] <= MOST_ABOUT:
            raise CorruptStream(f"facts of {head[1]} bytes about a picture", offset=offset)
        size = 2 + head[1]
        whole = self._pending[self._place : self._place + size + CHECK_SIZE]
        if len(whole) < size + CHECK_SIZE:
            raise Truncated
        self._about = True
        unknown = self._known() < len(whole)
        self._unknown = self._unknown or unknown
        facts = self._take(size)[2:]
        check = self._check(whole[size:])
        return check if unknown or not check.good else About(facts)

    def _take(self, size: int) -> bytes:
        piece = self._pending[self._place : self._place + size]
        self._place += size
        self._crc = crc32c(piece, self._crc)
        self.offset += size
        self._unchecked += size
        return piece


def verified(data: bytes) -> tuple[bytes, StreamError | None]:
    """Return the part of ``data`` that can be decoded and, if that is not all, what is wrong.

    A stream that merely ends early can be decoded to its last byte; one that fails a check or
    breaks the grammar, up to the last good check before that.  Raises NotAStream,
    UnsupportedStream or CorruptStream if even the header is unusable.
    """
    reader, error = _scanned(data)
    if error is None:
        return data, None
    if reader.header is None:
        raise error
    return data[: reader.verified], error


def checked(data: bytes) -> bytes:
    """Return the beginning of ``data`` that ends with its last good check, or its header."""
    return data[: _scanned(data)[0].verified]


def _scanned(data: bytes) -> tuple[StreamReader, StreamError | None]:
    """Return a reader that has been fed ``data``, as far as it goes, and what stopped it."""
    reader = StreamReader()
    try:
        for _ in reader.feed(data):
            pass
    except StreamError as error:
        return reader, error
    return reader, None
