"""Topics and messages by which streams are published over MQTT; all of them are retained.

Below the sender's PREFIX, with NAME the picture's name, percent-encoded to be one level::

    PREFIX/catalogue                           a Summary, in JSON: how many pictures, and their hash
    PREFIX/pictures/NAME                       an Item, in JSON; empty when the picture is removed
    PREFIX/streams/NAME/ID/TOTAL/OFFSET        bytes of its stream, from OFFSET on, as they are
    PREFIX/status                              online or offline
    PREFIX/image                               the newest picture, as a JPEG, if it is wanted

ID begins the stream's SHA-256, so pieces of two streams never mix, and a piece that comes twice, or
late, changes nothing.  TOTAL is the length of what is published of the stream.

The stream of a camera's picture may start from the one before.  Its item says so, and is of version
2: programs that know no such streams pass over it, and the summary counts it by itself.
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
VERSION_STARTING = 2
"""Version of the items of streams that start from others."""
LEAST_MESSAGE = 64
"""Bytes of the smallest pieces."""
ID = 16
"""Hex digits of a stream's id."""
MOST_ENTRY = 8192
"""Bytes of the longest JSON that is read."""
_LATEST = 2**53
_NAME = Name(MAX_NAME)


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first bytes of a stream, which another may start from."""

    name: str
    """Of the picture."""
    size: int
    """How many bytes there are."""
    sha256: str
    """The first ID hex digits of their SHA-256."""

    @classmethod
    def of(cls, name: str, data: bytes) -> Beginning:
        """Return what ``data``, which a picture's stream begins with, is called."""
        return cls(name, len(data), hashlib.sha256(data).hexdigest()[:ID])

    @classmethod
    def parse(cls, read: object, name: str | None = None) -> Beginning:
        """Parse a part of a message, which says a name unless one is given.  Raises ValueError."""
        if not isinstance(read, dict):
            raise ValueError("it is no beginning of a stream")
        return cls(
            name=_NAME.parse(read.get("name")) if name is None else name,
            size=Integer(1, MAX_STREAM).parse(read.get("size")),
            sha256=Hex(ID).parse(read.get("sha256")),
        )


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
    start: Beginning | None = None
    """What they start from: the beginning of another picture's stream, which is published too."""
    beginning: Beginning | None = None
    """What other streams may start from."""

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
        facts = {key: value for key, value in asdict(self).items() if value is not None}
        if self.beginning is not None:
            del facts["beginning"]["name"]
        version = VERSION if self.start is None else VERSION_STARTING
        return _json({"version": version, **facts})

    @classmethod
    def parse(cls, data: bytes) -> Item:
        """Parse a message.  Raises ValueError."""
        read = _read(data, VERSION, VERSION_STARTING)
        source, name = read.get("source", ""), _NAME.parse(read.get("name"))
        start, beginning = read.get("start"), read.get("beginning")
        if (start is not None) is not (read["version"] == VERSION_STARTING):
            raise ValueError("its version is not that of what it starts from")
        return cls(
            name=name,
            time=Integer(0, _LATEST).parse(read.get("time")),
            size=Integer(1, MAX_STREAM).parse(read.get("size")),
            sha256=Hex(64).parse(read.get("sha256")),
            piece=Integer(LEAST_MESSAGE, MOST_MESSAGE).parse(read.get("piece")),
            source=source if isinstance(source, str) else "",
            start=None if start is None else Beginning.parse(start),
            beginning=None if beginning is None else Beginning.parse(beginning, name),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All pictures of a sender in a few bytes: whoever has the same has them all."""

    pictures: int
    """Those whose streams start from no others."""
    sha256: str
    starting: int = 0
    """The others."""
    starting_sha256: str = ""

    @classmethod
    def of(cls, items: Iterable[Item]) -> Summary:
        """Sum up ``items``."""
        single: list[str] = []
        starting: list[str] = []
        for item in items:
            lines = single if item.start is None else starting
            lines.append(f"{item.name}\n{item.sha256}\n")
        return cls(
            pictures=len(single),
            sha256=_hash_of(single),
            starting=len(starting),
            starting_sha256=_hash_of(starting) if starting else "",
        )

    @property
    def count(self) -> int:
        """How many pictures there are in all."""
        return self.pictures + self.starting

    def message(self) -> bytes:
        """Return what is published of it."""
        facts = asdict(self)
        if not self.starting:
            del facts["starting"], facts["starting_sha256"]
        return _json({"version": VERSION, **facts})

    @classmethod
    def parse(cls, data: bytes) -> Summary:
        """Parse a message.  Raises ValueError."""
        read = _read(data, VERSION)
        starting = Integer(0, _LATEST).parse(read.get("starting", 0))
        return cls(
            pictures=Integer(0, _LATEST).parse(read.get("pictures")),
            sha256=Hex(64).parse(read.get("sha256")),
            starting=starting,
            starting_sha256=Hex(64).parse(read.get("starting_sha256")) if starting else "",
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


def _hash_of(lines: list[str]) -> str:
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def _json(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode()


def _read(data: bytes, *versions: int) -> dict[str, Any]:
    if len(data) > MOST_ENTRY:
        raise ValueError("it is too long")
    try:
        read = json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(read, dict) or read.get("version") not in versions:
        raise ValueError("it is of another version")
    return read
