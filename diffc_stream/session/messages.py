"""The messages of the protocol.

Each message is defined once, for writing, for reading and for the tables in docs/protocol.md.  A
binary WebSocket message holds one of them::

    control = type:u8 array                             a MessagePack array of the fields, in order
    data    = 0x10 stream:varint offset:varint payload crc:u32

The array may have more fields than this release knows: those were appended by a newer minor version
and are ignored.  It may lack fields at the end that have a default.  Maps, byte strings and
extension types do not occur.  ``crc`` is the CRC32C of all bytes before it.  The integers of DATA
are little-endian, and its varints are those of the .dfc grammar
(:mod:`diffc_stream.container.grammar`).
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
from diffc_stream.session.region import Region
from diffc_stream.session.target import Target

SUBPROTOCOL = "diffc-stream.v1"
"""Token of the WebSocket handshake.  Other major versions are refused there, over HTTP."""
PUSH_SUBPROTOCOL = "diffc-push.v1"
"""The token if the sender opens the connection."""
MINOR = 0
"""A newer minor version may append fields, but may use new messages only with peers that know
them."""

MAX_MESSAGE = 16_384
"""Bytes of the largest message.  Larger ones are refused without being read."""
MAX_STREAM = 2**26
"""Bytes of the longest stream."""
MAX_BPP = 1000.0
"""Most bits per pixel that a receiver may ask for."""
MIN_WINDOW, MAX_WINDOW = 512, 65_536
"""Limits of the window: the bytes of DATA payload that may be under way unacknowledged."""
MOST_MODELS = 16
"""Most fingerprints in HELLO or WELCOME."""
MOST_CAPABILITIES = 16
"""Most capabilities in HELLO or WELCOME."""
MUST = "!"
"""First character of a capability that the peer has to understand."""
ENTRIES_PER_PAGE = 50
"""Most entries in one CATALOGUE.  So many fit a message if names have 255 bytes each; with longer
names there are fewer."""
MAX_NAME = 1000
"""Bytes of the longest name of a picture, which is a path."""
MAX_SIDE = 65_535
"""Pixels of the longest side that a receiver may ask for."""
MAX_PSNR = 100.0
"""Highest PSNR, in dB, that a receiver may ask for."""
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
"""Most seconds that a message can name."""
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
    """The sender has sent all it has."""
    TARGET = "target"
    """The target that was asked for is reached."""
    STOPPED = "stopped"
    """The receiver said STOP."""
    DRAINING = "draining"
    """The sender is shutting down: come back for the rest."""


class Code:
    """The values of ``code`` in ERROR; a newer peer may use others."""

    UNKNOWN_IMAGE = "unknown-image"
    UNREADABLE_IMAGE = "unreadable-image"
    UNKNOWN_MODEL = "unknown-model"
    UNKNOWN_REGION = "unknown-region"
    PREFIX_MISMATCH = "prefix-mismatch"
    UNSUPPORTED = "unsupported"
    BUSY = "busy"
    INTERNAL = "internal"
    PROTOCOL = "protocol"
    TIMEOUT = "timeout"
    UNAUTHORIZED = "unauthorized"


class Capability:
    """The values in ``capabilities``; a peer may send others, which are ignored."""

    DFC1 = "dfc1"
    """Streams of version 1 of the format, in which the noise of observations is white."""
    DFC2 = "dfc2"
    """Streams of version 2 of the format, in which that noise is shaped by scale."""
    DFC3 = "dfc3"
    """Streams of version 3 of the format, which may say how the picture was taken."""
    DFC4 = "dfc4"
    """Streams of version 4 of the format, which may start from a picture that the receiver has, or
    can have by its name."""
    DFC5 = "dfc5"
    """Streams of version 5 of the format, of several pictures."""
    HTTP = "http"
    """The same streams over plain HTTP, on the same port."""
    FOLLOW = "follow"
    """The sender can keep announcing changes after LIST, if asked to."""
    REGION = "region"
    """The sender has streams of parts of its pictures, if OPEN asks for one."""


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
    """Seconds without a message after which it gives the link up."""
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
    """Seconds without a message after which it gives the link up."""
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
    """After that, announce changes as long as the connection lasts."""
    mark: Mark = None
    """Mark of the last page received, on any connection: everything up to it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A picture in the catalogue."""

    name: ImageName
    size: Total
    """Size of its file in bytes."""
    time: Total
    """When the file was last changed, in seconds since 1970."""
    thumbprint: Annotated[str, Hex(16)]
    """Hash of the file's contents: a different one means a different picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue(Message):
    """A page of the answer to LIST."""

    kind: ClassVar[int] = 0x04
    images: Annotated[tuple[Entry, ...], Many(Record(Entry), ENTRIES_PER_PAGE)]
    last: Annotated[bool, Flag()]
    """No further page follows until something changes."""
    changes: Annotated[bool, Flag()] = False
    """True: all other pictures are as before.  False: these pages, up to the last, list all."""
    removed: Annotated[tuple[str, ...], Many(Name(MAX_NAME), ENTRIES_PER_PAGE)] = ()
    """Pictures that no longer exist.  The limit holds for ``images`` and these together, too."""
    mark: Mark = None
    """For a later LIST: stands for everything that was said up to here."""
    left_out: Annotated[int, Integer(0, 2**31 - 1)] = 0
    """On the last page: how many older pictures there are that the catalogue does not list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Open(Message):
    """Ask for a picture's stream, or for the rest of it."""

    kind: ClassVar[int] = 0x05
    stream: StreamId
    """Chosen by the receiver, larger than any before on this connection."""
    image: ImageName
    start: Size = 0
    """Offset of the first byte wanted: the receiver has all bytes before it."""
    prefix: Prefix = None
    """Hash of those bytes: the first 8 bytes of their SHA-256.  nil only if there are none."""
    bytes: Bytes = None
    """Length at which the stream may end, counted from its very start."""
    bpp: Bpp = None
    """The same in bits per pixel.  If there are several targets, the first one reached counts."""
    side: Side = None
    """Longest side of the display, in pixels: octaves that are too fine for it are not wanted."""
    psnr: Psnr = None
    """Quality that is good enough, in dB, as the sender predicts it."""
    weight: Weight = 1.0
    """How much a gain in quality counts, relative to the other streams of this connection."""
    model: Fingerprint = None
    """Fingerprint of the model that the bytes held name; nil: the sender chooses."""
    region: Annotated[Region | None, Maybe(Record(Region))] = None
    """The part of the picture that is wanted; all else is of its stream then.  nil: all of it."""

    @property
    def target(self) -> Target:
        """How far the receiver wants the stream."""
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
        """How far the receiver wants the stream from now on."""
        return Target(bytes=self.bytes, bpp=self.bpp, side=self.side, psnr=self.psnr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack(Message):
    """The bytes of DATA payload received on this connection so far, all streams together."""

    kind: ClassVar[int] = 0x06
    received: Total
    window: Annotated[int | None, Maybe(Integer(MIN_WINDOW, MAX_WINDOW))] = None
    """The window from now on, at most WELCOME's; nil: WELCOME's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Message):
    """The picture is good enough: send no more of this stream."""

    kind: ClassVar[int] = 0x07
    stream: StreamId


@dataclass(frozen=True, slots=True, kw_only=True)
class End(Message):
    """This stream has ended."""

    kind: ClassVar[int] = 0x08
    stream: StreamId
    reason: Annotated[Reason, OneOf(Reason)]
    length: Size
    """Bytes of the stream up to here, counted from its very start."""
    updates: Count = 0
    """UPDATEs of this stream that the sender had received; later ones had no effect."""


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
    """With `unknown-model`: the fingerprint of the missing model."""
    after: Annotated[float | None, Maybe(Number(LONGEST))] = None
    """With `retry`: wait at least this many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alive(Message):
    """This end has nothing to say, but is still there."""

    kind: ClassVar[int] = 0x0A
    said: Annotated[int | None, Maybe(Integer(0, 2**53))] = None
    """Messages sent before this one on this connection; if fewer have come, some were lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goaway(Message):
    """The sender is about to leave: all streams end, and it accepts no new ones."""

    kind: ClassVar[int] = 0x0C
    wait: Seconds
    """Come back after a random part of this many seconds."""


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
    """Return the name of a message as the documentation spells it."""
    return message.__name__.upper()
