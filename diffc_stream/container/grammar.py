"""The grammar of a .dfc stream.  Each element is defined once, for reading and for writing.

    stream  = header record*
    header  = "DFC" kind:u8 model:4 bytes width:varint height:varint seed:varint [ratio:u8]
              [reference] [clip] check:u16
    record  = step | check | about | turn | motion | second
    step    = (short | long) segment (check? segment)*
    short   = 1 length:4 delta:3                one byte, a refinement by the trellis
            | 01 length:6                       one byte, an opening by the trellis
    long    = tag:u8 length:varint [delta:u8]
    segment = bytes                             lengths follow from the step's, see segments()
    check   = 0x30 crc:u16                      low half of the CRC32C of the bytes since the last
                                                check, or since the start
    about   = 0x31 length:u8 facts check        versions 3 to 5, once: see metadata.py

The header's kind holds the version (high four bits) and the signal (low four bits).  In version 1
the noise of observations is white.  From version 2 on the header says how it is shaped, by the
ratio of its precision field, see :func:`ratio`.  In version 4 it names the picture that the stream
starts from, see reference.py; in version 5 the stream has several pictures, see clip.py.  The
header's check is the low half of the CRC32C of the header before it.

A long step's tag says what it does (0x10 refine, 0x20 open an octave) plus the number of its
simulator; only a refinement has a delta.  A short step says how its length and its delta compare
with those of the steps before it, see :class:`Before`.

A check may stand between any two steps.  It has to stand at the end of a segment if CHECK_DUE bytes
or more have gone by since the last one, so that at most a kilobyte goes unchecked; motions and
second estimates are segments by themselves, with which 4.6 kB may.  Integers are little-endian; a
varint holds seven bits per byte, lowest first.

There is no end record: every stream is the beginning of a longer, better one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import google_crc32c

from diffc_stream.container.clip import Clip
from diffc_stream.container.reference import MOST_REFERENCE, Reference
from diffc_stream.container.varint import (
    LONGEST_VARINT,
    Truncated,
    encode_varint,
    need,
    parse_varint,
)
from diffc_stream.errors import CorruptStream, NotAStream, UnsupportedStream

MAGIC = b"DFC"
STREAM_SUFFIX = ".dfc"
"""What the names of files of streams end with."""
VERSION = 2
"""Version of streams whose noise is shaped."""
VERSION_WHITE = 1
"""Version of streams whose noise is white."""
VERSION_ABOUT = 3
"""Version of streams that may contain facts about their picture; their noise is white or shaped."""
VERSION_REFERENCE = 4
"""Version of streams that start from a picture that the receiver has.  They may contain facts, and
their noise is shaped."""
VERSION_CLIP = 5
"""Version of streams of several pictures.  They may contain facts, and their noise is shaped."""
LEAST_RATIO = 64
"""Smallest ratio in a header: with a smaller one, the noise of coarse detail would be smaller than
rounding errors."""
WHITE_RATIO = 255
"""The ratio of white noise; headers of version 2 never contain it."""
SIGNAL_SRGB = 0
"""The only kind of signal so far: three channels of 8-bit sRGB."""

MOST_HEADER = 8 + 3 * LONGEST_VARINT + 1 + MOST_REFERENCE + 2
"""No header is longer than so many bytes."""
CHECK_TAG = 0x30
CHECK_SIZE = 3
ABOUT_TAG = 0x31
MOST_ABOUT = 127
"""Most bytes of facts about a picture; there is at least one."""
LONGEST_SEGMENT = 512
CHECK_DUE = 500
SHORT_OPEN = 0x40
SHORT_REFINE = 0x80
MAX_SIDE = 65_535
MAX_LENGTH = 2**28
"""Every step's payload has fewer bytes than this."""


class Kind(IntEnum):
    """What a step does to the observation."""

    REFINE = 0x10
    OPEN = 0x20


class Simulator(IntEnum):
    """The channel simulator that coded a step's sample."""

    TRELLIS = 0
    PFR = 1
    DITHER = 2


def crc32c(data: bytes, crc: int = 0) -> int:
    """Return the CRC32C of ``data``, continuing ``crc``."""
    return int(google_crc32c.extend(crc, data))


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a receiver has to know before the first step."""

    model: str
    """Fingerprint of the model, 8 hex digits."""
    width: int
    height: int
    """Pixels, 1 to MAX_SIDE."""
    seed: int
    """Seed of the shared randomness, 0 to 2^32 - 1."""
    ratio: int = WHITE_RATIO
    """How the noise is shaped: code of its ratio, LEAST_RATIO to WHITE_RATIO, see ratio()."""
    about: bool = False
    """Whether the stream may contain facts about its picture."""
    reference: Reference | None = None
    """The picture that the stream starts from; then noise is shaped, and ``about`` is true."""
    clip: Clip | None = None
    """If the stream has several pictures; then there is no ``reference``, noise is shaped, and
    ``about`` is true."""

    def __post_init__(self) -> None:
        """Raise ValueError for a seed that no reader takes: encoders get it from outside."""
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"a seed is between 0 and 2^32 - 1, not {self.seed}")

    @property
    def version(self) -> int:
        """Version of the grammar: the oldest one that has what this stream needs."""
        if self.clip is not None:
            return VERSION_CLIP
        if self.reference is not None:
            return VERSION_REFERENCE
        if self.about:
            return VERSION_ABOUT
        return VERSION_WHITE if self.ratio == WHITE_RATIO else VERSION

    @property
    def pixels(self) -> int:
        """Pixels of all pictures together."""
        return self.width * self.height * (1 if self.clip is None else self.clip.pictures)

    def encode(self) -> bytes:
        """Return the header's bytes."""
        body = (
            MAGIC
            + bytes([self.version << 4 | SIGNAL_SRGB])
            + bytes.fromhex(self.model)
            + encode_varint(self.width)
            + encode_varint(self.height)
            + encode_varint(self.seed)
            + (b"" if self.version == VERSION_WHITE else bytes([self.ratio]))
            + (b"" if self.reference is None else self.reference.encode())
            + (b"" if self.clip is None else self.clip.encode())
        )
        return body + (crc32c(body) & 0xFFFF).to_bytes(2, "little")

    @classmethod
    def parse(cls, data: bytes) -> tuple[Header, int]:
        """Return the header at the start of ``data`` and its size.

        Raises Truncated, NotAStream, UnsupportedStream or CorruptStream.
        """
        if data[:3] != MAGIC[: len(data)]:
            raise NotAStream("not a .dfc stream")
        need(data, 4)
        version, signal = data[3] >> 4, data[3] & 0x0F
        if not VERSION_WHITE <= version <= VERSION_CLIP:
            raise UnsupportedStream(
                f"this is .dfc version {version}; this release reads versions 1 to 5"
            )
        need(data, 8)
        width, place = parse_varint(data, 8)
        height, place = parse_varint(data, place)
        seed, place = parse_varint(data, place)
        shape = WHITE_RATIO
        if version != VERSION_WHITE:
            need(data, place + 1)
            shape, place = data[place], place + 1
        named = place
        reference, clip = None, None
        if version == VERSION_REFERENCE:
            reference, place = Reference.parse(data, place)
        elif version == VERSION_CLIP:
            clip, place = Clip.parse(data, place)
        need(data, place + 2)
        if crc32c(data[:place]) & 0xFFFF != int.from_bytes(data[place : place + 2], "little"):
            raise CorruptStream("the header is damaged", offset=0)
        # Not before the check: a damaged byte should be reported as damage, not as a new signal.
        if signal != SIGNAL_SRGB:
            raise UnsupportedStream(f"this stream carries signal {signal}, which is not known here")
        if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE and seed < 2**32):
            raise CorruptStream(f"the header names a picture of {width}x{height}", offset=8)
        white = shape == WHITE_RATIO and version not in (VERSION_WHITE, VERSION_ABOUT)
        if shape < LEAST_RATIO or white:
            raise CorruptStream(f"the header names a ratio of {shape}", offset=named - 1)
        header = cls(
            model=data[4:8].hex(),
            width=width,
            height=height,
            seed=seed,
            ratio=shape,
            about=version >= VERSION_ABOUT,
            reference=reference,
            clip=clip,
        )
        return header, place + 2

    @classmethod
    def at(cls, data: bytes) -> Header | None:
        """Return the header at the start of ``data``; None if it is not whole yet.

        Raises NotAStream, UnsupportedStream or CorruptStream.
        """
        try:
            return cls.parse(data)[0]
        except Truncated:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The self-description of a step, in front of its payload."""

    kind: Kind
    simulator: Simulator = Simulator.TRELLIS
    length: int
    """Payload bytes, 1 to MAX_LENGTH - 1."""
    delta_code: int = 0
    """Code of the signal-to-noise ratio gained, 0 to 255; refine only, see delta()."""

    def encode(self, before: Before) -> bytes:
        """Return the step's bytes up to its payload: a single one if it is close to ``before``."""
        short = self._short(before)
        if short is not None:
            return bytes([short])
        head = bytes([self.kind | self.simulator]) + encode_varint(self.length)
        return head + bytes([self.delta_code]) if self.kind is Kind.REFINE else head

    def _short(self, before: Before) -> int | None:
        lengths = before.lengths(self.kind)
        if self.simulator is not Simulator.TRELLIS or self.length not in lengths:
            return None
        index = lengths.index(self.length)
        if self.kind is Kind.OPEN:
            return SHORT_OPEN | index
        ahead = self.delta_code - before.least_delta
        return SHORT_REFINE | index << 3 | ahead if 0 <= ahead < 8 else None

    @classmethod
    def parse(cls, data: bytes, before: Before, offset: int) -> tuple[Step, int]:
        """Return the step at the start of ``data`` and the size of its description.

        ``offset`` is where ``data`` starts in the stream, for errors.  Raises Truncated,
        UnsupportedStream or CorruptStream.
        """
        need(data, 1)
        if data[0] >= SHORT_OPEN:
            return cls._parse_short(data[0], before, offset), 1
        try:
            kind = Kind(data[0] & 0xF0)
        except ValueError:
            raise CorruptStream(f"no record starts with 0x{data[0]:02x}", offset=offset) from None
        try:
            simulator = Simulator(data[0] & 0x0F)
        except ValueError:
            raise UnsupportedStream(
                f"this stream uses channel simulator {data[0] & 0x0F}, which is not known here"
            ) from None
        length, place = parse_varint(data, 1, offset=offset)
        if not 1 <= length < MAX_LENGTH:
            raise CorruptStream(f"a step of {length} bytes", offset=offset)
        delta_code = 0
        if kind is Kind.REFINE:
            need(data, place + 1)
            delta_code = data[place]
            place += 1
        step = cls(kind=kind, simulator=simulator, length=length, delta_code=delta_code)
        return step, place

    @classmethod
    def _parse_short(cls, tag: int, before: Before, offset: int) -> Step:
        if tag >= SHORT_REFINE:
            length = before.lengths(Kind.REFINE)[tag >> 3 & 0x0F]
            step = cls(
                kind=Kind.REFINE, length=length, delta_code=before.least_delta + (tag & 0x07)
            )
        else:
            step = cls(kind=Kind.OPEN, length=before.lengths(Kind.OPEN)[tag & 0x3F])
        if step.length >= MAX_LENGTH or not 0 <= step.delta_code <= 255:
            raise CorruptStream(f"a step of {step.length} bytes", offset=offset)
        return step


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The steps before, in terms of which short steps are described.

    Steps grow evenly: the length of a step, and its gain in signal-to-noise ratio, are usually a
    little larger than those of the step before.  A short step codes that difference in one byte.
    All arithmetic is in integers, so that both ends agree.
    """

    kind: Kind = Kind.REFINE
    """Kind of the step before."""
    length: int = 12
    """Payload bytes of the step before."""
    delta_code: int = 54
    """Delta code of the last refinement."""

    def after(self, step: Step) -> Before:
        """Return the state after ``step``."""
        refines = step.kind is Kind.REFINE
        code = step.delta_code if refines else self.delta_code
        return Before(kind=step.kind, length=step.length, delta_code=code)

    def lengths(self, kind: Kind) -> list[int]:
        """Return the lengths, ascending, that a short step of ``kind`` can have.

        Those of a refinement are 2^((i - 6) / 4) times the length of the step before, for i from 0
        to 15; those of an opening are 2^((i - 16) / 8) times that length, for i from 0 to 63.  They
        are rounded, and at least 1.
        """
        if kind is Kind.REFINE:
            return [_scaled(self.length, 2 * i - 12) for i in range(16)]
        return [_scaled(self.length, i - 16) for i in range(64)]

    @property
    def least_delta(self) -> int:
        """The lowest of the eight consecutive delta codes that a short refinement can have."""
        return self.delta_code - (0 if self.kind is Kind.REFINE else 8)


def _scaled(length: int, eighths: int) -> int:
    """Return ``length`` times 2^(eighths / 8), rounded, at least 1."""
    octaves, index = divmod(eighths, 8)
    shift = 20 - octaves
    return max(1, length * _EIGHTHS[index] + (1 << shift - 1) >> shift)


def segments(length: int) -> Iterator[int]:
    """Yield the lengths of a payload's segments: as few as possible, of equal length within a byte.

    They are generated one by one, because a damaged step can claim half a million of them.
    """
    count = -(-length // LONGEST_SEGMENT)
    return ((i + 1) * length // count - i * length // count for i in range(count))


# 2^(k/8) as fractions of 2^20, which any floating point represents exactly.
_EIGHTHS = (1048576, 1143480, 1246974, 1359835, 1482910, 1617125, 1763488, 1923097)


def delta(code: int) -> float:
    """Return the signal-to-noise ratio that ``code`` stands for: about 2^(code / 4 - 16)."""
    return _EIGHTHS[2 * (code % 4)] / 2.0**20 * 2.0 ** (code // 4 - 16)


def nearest_delta(value: float) -> int:
    """Return the code of the delta nearest to ``value`` > 0 on a logarithmic scale."""
    return min(range(256), key=lambda code: max(delta(code) / value, value / delta(code)))


def ratio(code: int) -> float:
    """Return the ratio for ``code``: a scale's precision over that of the next coarser scale."""
    return code / WHITE_RATIO
