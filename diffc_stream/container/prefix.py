"""Parse the beginning of a stream, so that a sender can go on from there."""

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
    """What is known about a step that is incomplete."""

    kind: Kind
    simulator: Simulator
    length: int | None
    """Length of its payload; None if its description is incomplete, too."""


class Prefix:
    """The bytes that a stream begins with: any number of them, or none."""

    def __init__(self, data: bytes) -> None:
        """Parse ``data``.  Raises PrefixMismatch if it is damaged, or not of one picture."""
        self.data = data
        self.records: list[Record] = []
        """The complete records.  The last one may be a check that is incomplete."""
        self.begun: Begun | None = None
        """The incomplete step after them, if there is one."""
        self.settled = 0
        """How many bytes come before the incomplete step."""
        self.about = False
        """Whether incomplete facts about the picture come after the complete records."""
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
                case Header() if event.clip is not None:
                    # At once: what is left of the records of clips looks like no step.
                    raise StreamError("it has several pictures")
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
            # The description of this step is cut, so it is a long one: its first byte is the tag.
            kind, simulator = Kind(rest[0] & 0xF0), Simulator(rest[0] & 0x0F)
            self.begun = Begun(kind=kind, simulator=simulator, length=None)

    def check(self, header: Header) -> None:
        """Raise PrefixMismatch unless the prefix begins with ``header``, as far as it goes."""
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
        elif own.reference != header.reference:
            raise PrefixMismatch("the prefix starts from another picture that the receiver has")
        elif own.about != header.about:
            raise PrefixMismatch(f"the prefix is of version {own.version}, not {header.version}")

    def beyond(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the part of each of ``pieces``, a stream from its start, that is beyond the prefix.

        That part may be empty.  Raises PrefixMismatch as soon as the pieces differ from the prefix.
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
        """Return the error to raise if the incomplete step comes out differently."""
        return PrefixMismatch(
            f"what follows the first {self.settled} bytes of the prefix comes out differently here"
        )
