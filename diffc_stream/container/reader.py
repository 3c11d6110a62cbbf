"""Read a stream as it arrives, in pieces of any size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from diffc_stream.container.grammar import (
    ABOUT_TAG,
    CHECK_DUE,
    CHECK_SIZE,
    CHECK_TAG,
    MOST_ABOUT,
    Before,
    Header,
    Step,
    Truncated,
    crc32c,
    segments,
)
from diffc_stream.errors import CorruptStream, StreamError


@dataclass(frozen=True, slots=True)
class Payload:
    """The next bytes of the payload of the step last reported."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Check:
    """A check; ``good`` says whether the bytes since the last check are intact."""

    offset: int
    good: bool


@dataclass(frozen=True, slots=True)
class About:
    """Facts about the picture, as bytes for :meth:`Metadata.parse`; they have been checked."""

    facts: bytes


Event = Header | Step | Payload | Check | About


class StreamReader:
    """Parse a stream fed in pieces into events: Header, then Step, Payload, Check and About.

    A step's payload is complete when as many bytes have come as the step said.  With
    ``damaged``, a failed check is reported and reading goes on; without, it raises.
    """

    def __init__(self, *, damaged: bool = False) -> None:
        self.header: Header | None = None
        self.received = 0
        """Bytes fed so far."""
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
        self._segments: Iterator[int] = iter(())
        self._left = 0
        self._check_due = False
        self._about = False
        """Facts about the picture have come, or none can."""
        self._sound = True

    def feed(self, data: bytes) -> Iterator[Event]:
        """Take more bytes and yield the events that they complete.

        Raises NotAStream, UnsupportedStream or CorruptStream; do not feed the reader after that.
        """
        self.received += len(data)
        self._pending = self._pending[self._place :] + data
        self._place = 0
        while self._place < len(self._pending):
            try:
                event = self._next()
            except Truncated:
                return
            yield event

    def _next(self) -> Event:
        # The longest element other than a payload has 26 bytes; payloads are taken in place.
        data = self._pending[self._place : self._place + 32]
        if self.header is None:
            self.header, size = Header.parse(data)
            self._take(size)
            self.verified = size
            self._about = not self.header.about
            return self.header
        if self._left and not self._check_due:
            return self._payload()
        if data[0] == CHECK_TAG or self._check_due:
            return self._check(data)
        if data[0] == ABOUT_TAG and not self._about:
            return self._facts()
        step, size = Step.parse(data, self._before, self.offset)
        self.began = self.offset
        self._take(size)
        self._before = self._before.after(step)
        self._segments = segments(step.length)
        self._left = next(self._segments)
        return step

    def _payload(self) -> Payload:
        piece = self._take(min(self._left, len(self._pending) - self._place))
        self._left -= len(piece)
        if not self._left:
            self._left = next(self._segments, 0)
            self._check_due = self._unchecked >= CHECK_DUE
        return Payload(piece)

    def _check(self, data: bytes) -> Check:
        offset = self.offset
        if data[0] != CHECK_TAG:
            raise CorruptStream("a check should stand here", offset=offset)
        if len(data) < CHECK_SIZE:
            raise Truncated
        stated = int.from_bytes(data[1:CHECK_SIZE], "little")
        good = stated == self._crc & 0xFFFF
        if not good and not self._damaged:
            raise CorruptStream("the stream is damaged: a check failed", offset=offset)
        self._take(CHECK_SIZE)
        self._crc = self._unchecked = 0
        self._check_due = False
        self._sound = self._sound and good
        if self._sound:
            self.verified = self.offset
        return Check(offset=offset, good=good)

    def _facts(self) -> Event:
        """Return facts if they are as they were written, or a check that failed."""
        offset, head = self.offset, self._pending[self._place : self._place + 2]
        if len(head) < 2:
            raise Truncated
        if not 1 <= head[1] <= MOST_ABOUT:
            raise CorruptStream(f"facts of {head[1]} bytes about a picture", offset=offset)
        size = 2 + head[1]
        whole = self._pending[self._place : self._place + size + CHECK_SIZE]
        if len(whole) < size + CHECK_SIZE:
            raise Truncated
        self._about = True
        facts = self._take(size)[2:]
        check = self._check(whole[size:])
        return About(facts) if check.good else check

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
    reader = StreamReader()
    try:
        for _ in reader.feed(data):
            pass
    except StreamError as error:
        if reader.header is None:
            raise
        return data[: reader.verified], error
    return data, None
