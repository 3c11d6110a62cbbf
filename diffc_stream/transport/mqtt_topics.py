"""Topics and messages by which streams are published over MQTT; all of them are retained.

Below the sender's PREFIX, with NAME the picture's name, percent-encoded to be one level::

    PREFIX/catalogue                           a Summary, in JSON: how many pictures, and their hash
    PREFIX/pictures/NAME                       an Item, in JSON; empty when the picture is removed
    PREFIX/streams/NAME/ID/TOTAL/OFFSET        bytes of its stream, from OFFSET on, as they are
    PREFIX/status                              online or offline
    PREFIX/image                               the newest picture, as a JPEG, if it is wanted

ID begins the stream's SHA-256, so pieces of two streams never mix, and a piece that comes twice, or
late, changes nothing.  TOTAL is the length of what is published of the stream.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote, unquote

from diffc_stream.session import MAX_STREAM
from diffc_stream.session.fields import Hex, Integer, Name
from diffc_stream.session.messages import MAX_NAME
from diffc_stream.transport.mqtt import MOST_MESSAGE

VERSION = 1
LEAST_MESSAGE = 64
"""Bytes of the smallest pieces."""
ID = 16
"""Hex digits of a stream's id."""
MOST_ENTRY = 8192
"""Bytes of the longest JSON that is read."""
_LATEST = 2**53
_NAME = Name(MAX_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A picture whose stream is published."""

    name: str
    time: int
    """When the picture was changed, in seconds since 1970."""
    size: int
    """How many bytes of its stream are published."""
    sha256: str
    """Of these bytes, in hex."""
    piece: int
    """Bytes of each of its messages but the last."""
    source: str = ""
    """What they were made of: the publisher compares it to find what it has published already."""

    @property
    def id(self) -> str:
        """What tells its pieces from those of other streams."""
        return self.sha256[:ID]

    @property
    def offsets(self) -> range:
        """Where its pieces begin."""
        return range(0, self.size, self.piece)

    def length(self, offset: int) -> int:
        """Return how many bytes the piece at ``offset`` has."""
        return min(self.piece, self.size - offset)

    def message(self) -> bytes:
        """Return what is published of it."""
        return _json({"version": VERSION, **asdict(self)})

    @classmethod
    def parse(cls, data: bytes) -> Item:
        """Parse a message.  Raises ValueError."""
        read = _read(data)
        source = read.get("source", "")
        return cls(
            name=_NAME.parse(read.get("name")),
            time=Integer(0, _LATEST).parse(read.get("time")),
            size=Integer(1, MAX_STREAM).parse(read.get("size")),
            sha256=Hex(64).parse(read.get("sha256")),
            piece=Integer(LEAST_MESSAGE, MOST_MESSAGE).parse(read.get("piece")),
            source=source if isinstance(source, str) else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All pictures of a sender in a few bytes: whoever has the same has them all."""

    pictures: int
    sha256: str

    @classmethod
    def of(cls, items: Iterable[Item]) -> Summary:
        """Sum up ``items``."""
        lines = sorted(f"{item.name}\n{item.sha256}\n" for item in items)
        return cls(pictures=len(lines), sha256=hashlib.sha256("".join(lines).encode()).hexdigest())

    def message(self) -> bytes:
        """Return what is published of it."""
        return _json({"version": VERSION, **asdict(self)})

    @classmethod
    def parse(cls, data: bytes) -> Summary:
        """Parse a message.  Raises ValueError."""
        read = _read(data)
        return cls(
            pictures=Integer(0, _LATEST).parse(read.get("pictures")),
            sha256=Hex(64).parse(read.get("sha256")),
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """Where a piece belongs."""

    name: str
    id: str
    total: int
    offset: int


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one sender."""

    prefix: str

    @property
    def catalogue(self) -> str:
        """The topic of the :class:`Summary`."""
        return f"{self.prefix}/catalogue"

    @property
    def pictures(self) -> str:
        """All topics of :class:`Item`."""
        return f"{self.prefix}/pictures/+"

    @property
    def status(self) -> str:
        """The topic that says whether the sender is there."""
        return f"{self.prefix}/status"

    @property
    def image(self) -> str:
        """The topic of the newest picture."""
        return f"{self.prefix}/image"

    def picture(self, name: str) -> str:
        """Return the topic of a picture's item."""
        return f"{self.prefix}/pictures/{_level(name)}"

    def piece(self, item: Item, offset: int) -> str:
        """Return the topic of a piece."""
        return f"{self.prefix}/streams/{_level(item.name)}/{item.id}/{item.size}/{offset}"

    def named(self, topic: str) -> str | None:
        """Return the picture whose item a topic is; None if it is another topic."""
        begin = f"{self.prefix}/pictures/"
        return _named(topic.removeprefix(begin)) if topic.startswith(begin) else None

    def placed(self, topic: str) -> Piece | None:
        """Return which piece a topic is of; None if it is another topic."""
        begin = f"{self.prefix}/streams/"
        levels = topic.removeprefix(begin).split("/")
        if not topic.startswith(begin) or len(levels) != 4:
            return None
        name, (told, total, offset) = _named(levels[0]), levels[1:]
        if name is None or not all(part.isdecimal() and len(part) < 9 for part in (total, offset)):
            return None
        return Piece(name, told, int(total), int(offset))


def _level(name: str) -> str:
    return quote(name, safe="")


def _named(level: str) -> str | None:
    try:
        return None if "/" in level else _NAME.parse(unquote(level, errors="strict"))
    except ValueError:
        return None


def _json(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode()


def _read(data: bytes) -> dict[str, Any]:
    if len(data) > MOST_ENTRY:
        raise ValueError("it is too long")
    try:
        read = json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(read, dict) or read.get("version") != VERSION:
        raise ValueError("it is of another version")
    return read
