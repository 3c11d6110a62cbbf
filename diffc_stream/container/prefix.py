"""The beginning of a stream, taken apart for the sender that goes on from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from diffc_stream.container.grammar import (
    ABOUT_TAG,
    CHECK_TAG,
    Header,
    Kind,
    Simulator,
    Step,
)
from diffc_stream.container.reader import About, Check, Payload, StreamReader
from diffc_stream.errors import PrefixMismatch, StreamError

Record = tuple[Step, bytes] | Check | About
"""A step with its whole payload, a check between two steps, or facts about the picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What is known of a step that is there in part."""

    kind: Kind
    simulator: Simulator
    length: int | None
    """Of its payload; None if not all of its description is there."""


class Prefix:
    """The bytes that a stream begins with: any number of them, none included."""

    def __init__(self, data: bytes) -> None:
        """Parse ``data``.  Raises PrefixMismatch for what is no stream, unknown or damaged."""
        self.data = data
        self.records: list[Record] = []
        """What is there wholly; of a check that follows, some or all may be missing."""
        self.begun: Begun | None = None
        """What comes after them, if it is a step."""
        self.settled = 0
        """How many bytes come before it."""
        self.about = False
        """What comes after them are facts about the picture, some of them."""
        reader = StreamReader()
        try:
            self._parse(reader)
        except StreamError as error:
            raise PrefixMismatch(f"the prefix cannot be extended: {error}") from error
        self.header = reader.header

    def _parse(self, reader: StreamReader) -> None:
        step, payload = None, bytearray()
        for event in reader.feed(self.data):
            match event:
                case Step():
                    step = event
                case Payload() if step is not None:
                    payload += event.data
                    if len(payload) == step.length:
                        self.records.append((step, bytes(payload)))
                        step = None
                        payload.clear()
                case Check() if step is None:
                    self.records.append(event)
                case About():
                    self.records.append(event)
        self.settled = reader.offset if step is None else reader.began
        rest = self.data[reader.offset :]
        if step is not None:
            self.begun = Begun(kind=step.kind, simulator=step.simulator, length=step.length)
        elif rest[:1] == bytes([CHECK_TAG]):
            self.records.append(Check(offset=reader.offset, good=True))
        elif rest[:1] == bytes([ABOUT_TAG]):
            self.about = True
        elif rest and reader.header is not None:
            # A step whose description is cut: of several bytes, so the first one names these.
            kind, simulator = Kind(rest[0] & 0xF0), Simulator(rest[0] & 0x0F)
            self.begun = Begun(kind=kind, simulator=simulator, length=None)

    def check(self, header: Header) -> None:
        """Raise PrefixMismatch unless the stream's header, so far as it is there, is ``header``."""
        own = self.header
        if own is None:
            if not header.encode().startswith(self.data):
                raise PrefixMismatch("the prefix does not begin a stream of this picture")
        elif own.model != header.model:
            raise PrefixMismatch(f"the prefix is of the model {own.model}, not {header.model}")
        elif (own.width, own.height) != (header.width, header.height):
            raise PrefixMismatch(
                f"the prefix is of a picture of {own.width}x{own.height}, "
                f"not {header.width}x{header.height}"
            )
        elif own.seed != header.seed:
            raise PrefixMismatch(f"the prefix is of the seed {own.seed}, not {header.seed}")
        elif own.ratio != header.ratio:
            raise PrefixMismatch(f"the prefix is of the ratio {own.ratio}, not {header.ratio}")
        elif own.about != header.about:
            raise PrefixMismatch(f"the prefix is of version {own.version}, not {header.version}")

    def beyond(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield what of ``pieces``, a stream from its start, follows; empty ones where none does.

        Raises PrefixMismatch as soon as they differ from what is there.
        """
        held = self.data
        for piece in pieces:
            known = held[: len(piece)]
            if not piece.startswith(known):
                raise self.differs()
            held = held[len(known) :]
            yield piece[len(known) :]
        if held:
            raise self.differs()

    def differs(self) -> PrefixMismatch:
        """Return the error for a last part that comes out differently."""
        return PrefixMismatch(
            f"what follows the first {self.settled} bytes of the prefix comes out differently here"
        )
