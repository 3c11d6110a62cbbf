"""The messages of the protocol, each defined once: for writing, reading and the documentation.

One WebSocket message (binary) is one message here::

    control = type:u8 array                             a MessagePack array of the fields, in order
    data    = 0x10 stream:varint offset:varint payload crc:u32

The array may be longer than this release knows (a newer minor version appended fields, which are
ignored) and shorter by fields that have a default.  Maps, byte strings and extension types do
not occur.  ``crc`` is the CRC32C of all before it; integers of DATA are little-endian and varints
are those of the .dfc grammar.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, ClassVar

from diffc_stream.session.fields import (
    Flag,
    Hex,
    Integer,
    Many,
    Maybe,
    Name,
    Number,
    OneOf,
    Record,
)
from diffc_stream.session.fields import Text as TextField
from diffc_stream.session.target import Target

SUBPROTOCOL = "diffc-stream.v1"
"""Token of the WebSocket handshake; another major version is refused there, over HTTP."""
PUSH_SUBPROTOCOL = "diffc-push.v1"
"""The same where it is the sender that has opened the connection."""
MINOR = 0
"""A newer minor version may append fields, and use new messages only with peers that know them."""

MAX_MESSAGE = 16_384
"""Bytes of a message; larger ones are refused unread."""
MAX_STREAM = 2**26
"""Bytes of a stream."""
MAX_BPP = 1000.0
"""Bits per pixel that may be asked for."""
MIN_WINDOW, MAX_WINDOW = 512, 65_536
"""Bytes of DATA payload that may be under way unacknowledged."""
MOST_MODELS = 16
"""Fingerprints in HELLO or WELCOME."""
MOST_CAPABILITIES = 16
"""Words in HELLO or WELCOME."""
MUST = "!"
"""What a capability begins with that the peer has to understand."""
ENTRIES_PER_PAGE = 50
"""Entries in one CATALOGUE; with names of 255 bytes each, they fit a message, with longer ones
fewer do."""
MAX_NAME = 1000
"""Bytes of the name of a picture, which is a path."""
MAX_SIDE = 65_535
"""Pixels."""
MAX_PSNR = 100.0
"""Decibels that may be asked for."""
MAX_WEIGHT = 1000.0

StreamId = Annotated[int, Integer(1, 2**31 - 1)]
AnyStream = Annotated[int, Integer(0, 2**31 - 1)]
ImageName = Annotated[str, Name(MAX_NAME)]
Size = Annotated[int, Integer(0, MAX_STREAM)]
Total = Annotated[int, Integer(0, 2**53)]
Count = Annotated[int, Integer(0, 2**31 - 1)]
Prefix = Annotated[str | None, Maybe(Hex(16))]
Mark = Annotated[str | None, Maybe(Hex(16))]
Window = Annotated[int, Integer(MIN_WINDOW, MAX_WINDOW)]
LONGEST = 86_400.0
"""Seconds that anybody can be told."""
Seconds = Annotated[float, Number(LONGEST)]
Fingerprint = Annotated[str | None, Maybe(Hex(8))]
Models = Annotated[tuple[str, ...], Many(Hex(8), MOST_MODELS)]
Capabilities = Annotated[tuple[str, ...], Many(TextField(32), MOST_CAPABILITIES)]
Weight = Annotated[float, Number(MAX_WEIGHT)]
Bytes = Annotated[int | None, Maybe(Integer(1, MAX_STREAM))]
Bpp = Annotated[float | None, Maybe(Number(MAX_BPP))]
Side = Annotated[int | None, Maybe(Integer(1, MAX_SIDE))]
Psnr = Annotated[float | None, Maybe(Number(MAX_PSNR))]
Minor = Annotated[int, Integer(0, 255)]


class Reason(Enum):
    """Why a stream ended."""

    COMPLETE = "complete"
    """The sender has nothing better."""
    TARGET = "target"
    """As far as was asked for."""
    STOPPED = "stopped"
    """The receiver said STOP."""
    DRAINING = "draining"
    """The sender is shutting down: come back for the rest."""


class Code:
    """What an ERROR's ``code`` can be; a newer peer may know others."""

    UNKNOWN_IMAGE = "unknown-image"
    UNREADABLE_IMAGE = "unreadable-image"
    UNKNOWN_MODEL = "unknown-model"
    PREFIX_MISMATCH = "prefix-mismatch"
    UNSUPPORTED = "unsupported"
    BUSY = "busy"
    INTERNAL = "internal"
    PROTOCOL = "protocol"
    TIMEOUT = "timeout"
    UNAUTHORIZED = "unauthorized"


class Capability:
    """What ``capabilities`` can hold; a peer may know others, which are ignored."""

    DFC1 = "dfc1"
    """Streams of version 1 of the format: the noise of their observations is white."""
    DFC2 = "dfc2"
    """Streams of version 2: it is shaped by scale."""
    DFC3 = "dfc3"
    """Streams of version 3: they may say how a picture was taken."""
    HTTP = "http"
    """The same streams over plain HTTP, on the same port."""
    FOLLOW = "follow"
    """A sender's: LIST may ask it to go on saying what changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Base of all messages; ``kind`` is the first byte on the wire."""

    kind: ClassVar[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello(Message):
    """The receiver introduces itself."""

    kind: ClassVar[int] = 0x01
    minor: Minor = MINOR
    """Minor version of the protocol it speaks."""
    window: Window
    """The largest window it wants; the sender may choose a smaller one."""
    idle: Seconds
    """It gives the link up after hearing nothing for so long."""
    models: Models = ()
    """Fingerprints of models it can decode with; empty: any stream will do."""
    capabilities: Capabilities = ()
    """What it can do beyond this table; see below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome(Message):
    """The sender answers HELLO."""

    kind: ClassVar[int] = 0x02
    minor: Minor = MINOR
    """Minor version of the protocol it speaks."""
    window: Window
    """The window in force, for all streams of this connection together."""
    idle: Seconds
    """It gives the link up after hearing nothing for so long."""
    streams: Annotated[int, Integer(1, 1024)]
    """Streams that may be open at once."""
    models: Models = ()
    """Fingerprints of models it can encode with, the preferred one first."""
    capabilities: Capabilities = ()
    """What it can do beyond this table; see below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class List(Message):
    """Ask for the catalogue of all pictures."""

    kind: ClassVar[int] = 0x03
    follow: Annotated[bool, Flag()] = False
    """Go on with what changes, as long as the connection lasts."""
    mark: Mark = None
    """Of the last page held, from whatever connection: what came up to it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A picture in the catalogue."""

    name: ImageName
    size: Total
    """Bytes of its file."""
    time: Total
    """When the file was last changed, in seconds since 1970."""
    thumbprint: Annotated[str, Hex(16)]
    """Of the file's contents: another one means another picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue(Message):
    """A page of the answer to LIST."""

    kind: ClassVar[int] = 0x04
    images: Annotated[tuple[Entry, ...], Many(Record(Entry), ENTRIES_PER_PAGE)]
    last: Annotated[bool, Flag()]
    """No further page follows, before something changes."""
    changes: Annotated[bool, Flag()] = False
    """What is known otherwise still holds; false: from the first such page to the last is all."""
    removed: Annotated[tuple[str, ...], Many(Name(MAX_NAME), ENTRIES_PER_PAGE)] = ()
    """Pictures that are no more.  Of these and ``images`` together there are not more either."""
    mark: Mark = None
    """Stands for all that was said up to here, in a later LIST."""
    left_out: Annotated[int, Integer(0, 2**31 - 1)] = 0
    """How many older pictures there are beyond those that are told of; on the last page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Open(Message):
    """Ask for a picture's stream, or for the rest of it."""

    kind: ClassVar[int] = 0x05
    stream: StreamId
    """Chosen by the receiver, larger than any before on this connection."""
    image: ImageName
    start: Size = 0
    """The first byte wanted: so many are held already."""
    prefix: Prefix = None
    """Hash of the bytes held: the first 8 bytes of their SHA-256.  nil only if there are none."""
    bytes: Bytes = None
    """Where the stream may end, counted from its very start."""
    bpp: Bpp = None
    """The same in bits per pixel.  Of several targets the one that is reached first counts."""
    side: Side = None
    """A longest side, in pixels: octaves that it has no use for are not wanted."""
    psnr: Psnr = None
    """Quality that is good enough, as the sender predicts it, in dB."""
    weight: Weight = 1.0
    """How much a gain in quality counts, beside the other streams of this connection."""
    model: Fingerprint = None
    """Fingerprint of the model that the bytes held name; nil: the sender chooses."""

    @property
    def target(self) -> Target:
        """How far the stream is wanted."""
        return Target(bytes=self.bytes, bpp=self.bpp, side=self.side, psnr=self.psnr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(Message):
    """Change how far a stream goes, and its weight; all fields replace OPEN's."""

    kind: ClassVar[int] = 0x0B
    stream: StreamId
    bytes: Bytes = None
    bpp: Bpp = None
    side: Side = None
    psnr: Psnr = None
    weight: Weight = 1.0

    @property
    def target(self) -> Target:
        """How far the stream is wanted from now on."""
        return Target(bytes=self.bytes, bpp=self.bpp, side=self.side, psnr=self.psnr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack(Message):
    """The bytes of DATA payload received on this connection so far, all streams together."""

    kind: ClassVar[int] = 0x06
    received: Total
    window: Annotated[int | None, Maybe(Integer(MIN_WINDOW, MAX_WINDOW))] = None
    """The window from now on, WELCOME's at most; nil: WELCOME's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Message):
    """The picture is good enough: send no more of this stream."""

    kind: ClassVar[int] = 0x07
    stream: StreamId


@dataclass(frozen=True, slots=True, kw_only=True)
class End(Message):
    """Nothing more comes of this stream."""

    kind: ClassVar[int] = 0x08
    stream: StreamId
    reason: Annotated[Reason, OneOf(Reason)]
    length: Size
    """Bytes of the stream up to here, counted from its very start."""
    updates: Count = 0
    """UPDATEs of this stream that the sender had heard: others have come to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(Message):
    """A stream, or with stream 0 the connection, ends in failure."""

    kind: ClassVar[int] = 0x09
    stream: AnyStream
    code: Annotated[str, TextField(32)]
    message: Annotated[str, TextField(512)]
    retry: Annotated[bool, Flag()] = False
    """The same request may succeed later."""
    model: Fingerprint = None
    """With `unknown-model`: the fingerprint of the one that is missing."""
    after: Annotated[float | None, Maybe(Number(LONGEST))] = None
    """With `retry`: not before so many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive(Message):
    """Nothing to say, but still here."""

    kind: ClassVar[int] = 0x0A
    said: Annotated[int | None, Maybe(Integer(0, 2**53))] = None
    """Messages said before this one on this connection; if fewer have come, some were lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goaway(Message):
    """The sender is about to leave: all streams end, no new ones are taken."""

    kind: ClassVar[int] = 0x0C
    wait: Seconds
    """Come back after a random part of so many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data(Message):
    """A byte range of a stream."""

    kind: ClassVar[int] = 0x10
    stream: int
    offset: int
    payload: bytes


CONTROL: tuple[type[Message], ...] = (
    Hello, Welcome, List, Catalogue, Open, Ack, Stop, End, Error, Alive, Update, Goaway,
)  # fmt: skip


def title(message: type[Message]) -> str:
    """Return the name of a message as the documentation has it."""
    return message.__name__.upper()
