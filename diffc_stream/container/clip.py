"""What version 5 of the format adds: several pictures that follow one another in one stream.

    clip   = pictures:varint milliseconds:varint stride:varint    in the header
    turn   = 0x32 picture:varint                                  a record
    motion = 0x33 source:u8 length:varint vectors                 a record
    second = 0x34 sources:u8 length:varint trust                  a record

What follows a turn is about that picture; the stream begins with the first.  Every picture has a
chain of steps of its own, and steps are described in terms of the steps before of the same picture.

A second estimate of the present picture is made of what is known, at that place of the stream, of
one or two others, its *sources*: the mean of their pictures, each moved by its motion.  Bit 0 of
``sources`` is the earlier source, bit 1 the later one, see :func:`sources`.  It replaces the one
before, and trust says how far it is to be trusted (:mod:`diffc_stream.diffusion.trust`).  A motion
says how the present picture differs in place from one of its sources, 0 the earlier and 1 the
later, from there on (:mod:`diffc_stream.diffusion.motion`); until then nothing has moved.
"""

from __future__ import annotations

from dataclasses import dataclass

from diffc_stream.container.reference import MOST_TRUST
from diffc_stream.container.varint import LONGEST_VARINT, encode_varint, need, parse_varint
from diffc_stream.errors import CorruptStream

TURN_TAG = 0x32
MOTION_TAG = 0x33
SECOND_TAG = 0x34
MOST_PICTURES = 1024
"""Most pictures of a clip; it has at least two."""
LONGEST = 60_000
"""Most milliseconds that a picture is shown."""
MOST_VECTORS = 4096
"""Most bytes of a motion; there is at least one."""
MOST_RECORD = 2 + LONGEST_VARINT + max(MOST_TRUST, MOST_VECTORS)
"""None of these records is longer than so many bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """How many pictures a stream has, and how long each is shown."""

    pictures: int
    """2 to MOST_PICTURES."""
    milliseconds: int
    """1 to LONGEST."""
    stride: int
    """How far pictures lie apart that start from the one before; 1 to the number of pictures."""

    def encode(self) -> bytes:
        """Return the bytes in a header."""
        numbers = self.pictures, self.milliseconds, self.stride
        return b"".join(encode_varint(number) for number in numbers)

    @classmethod
    def parse(cls, data: bytes, place: int) -> tuple[Clip, int]:
        """Return what a header says at ``place``, and the place after it.

        Raises Truncated or CorruptStream.
        """
        begin = place
        pictures, place = parse_varint(data, place)
        milliseconds, place = parse_varint(data, place)
        stride, place = parse_varint(data, place)
        many = 2 <= pictures <= MOST_PICTURES and 1 <= stride <= pictures
        if not (many and 1 <= milliseconds <= LONGEST):
            raise CorruptStream(
                f"the header names {pictures} pictures of {milliseconds} ms, {stride} apart",
                offset=begin,
            )
        return cls(pictures=pictures, milliseconds=milliseconds, stride=stride), place


@dataclass(frozen=True, slots=True)
class Turn:
    """What follows is about another picture."""

    picture: int
    """Its number, from 0."""

    def encode(self) -> bytes:
        """Return the record's bytes."""
        return bytes([TURN_TAG]) + encode_varint(self.picture)

    @classmethod
    def parse(cls, data: bytes, pictures: int, offset: int) -> tuple[Turn, int]:
        """Return the record at the start of ``data``, of a clip of ``pictures``, and its size.

        Raises Truncated or CorruptStream.
        """
        picture, place = parse_varint(data, 1, offset=offset)
        if picture >= pictures:
            raise CorruptStream(f"picture {picture} of {pictures}", offset=offset)
        return cls(picture), place


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """How the present picture has moved since one of its sources."""

    source: int
    """0 is the earlier one, 1 the later."""
    vectors: bytes
    """As diffusion.motion writes them, 1 to MOST_VECTORS bytes."""

    def encode(self) -> bytes:
        """Return the record's bytes."""
        return bytes([MOTION_TAG, self.source]) + encode_varint(len(self.vectors)) + self.vectors

    @classmethod
    def parse(cls, data: bytes, offset: int) -> tuple[Motion, int]:
        """Return the record at the start of ``data`` and its size.

        Raises Truncated or CorruptStream.
        """
        need(data, 2)
        source = data[1]
        if source > 1:
            raise CorruptStream(f"a motion since the source {source}", offset=offset)
        vectors, place = _counted(data, MOST_VECTORS, offset)
        return cls(source=source, vectors=vectors), place


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """A second estimate of the present picture."""

    earlier: bool
    later: bool
    """Which sources it is made of, at least one."""
    trust: bytes
    """As diffusion.trust writes it, 1 to MOST_TRUST bytes."""

    def encode(self) -> bytes:
        """Return the record's bytes."""
        used = self.earlier | self.later << 1
        return bytes([SECOND_TAG, used]) + encode_varint(len(self.trust)) + self.trust

    @classmethod
    def parse(cls, data: bytes, offset: int) -> tuple[Second, int]:
        """Return the record at the start of ``data`` and its size.

        Raises Truncated or CorruptStream.
        """
        need(data, 2)
        used = data[1]
        if not 1 <= used <= 3:
            raise CorruptStream(f"a second estimate of the sources {used}", offset=offset)
        trust, place = _counted(data, MOST_TRUST, offset)
        return cls(earlier=bool(used & 1), later=bool(used & 2), trust=trust), place


def _counted(data: bytes, most: int, offset: int) -> tuple[bytes, int]:
    """Return the bytes that a record has after its first two and their number, and its size."""
    length, place = parse_varint(data, 2, offset=offset)
    if not 1 <= length <= most:
        raise CorruptStream(f"a record of {length} bytes", offset=offset)
    need(data, place + length)
    return data[place : place + length], place + length


def sources(clip: Clip) -> dict[int, tuple[int | None, int | None]]:
    """Return the earlier and the later source of each picture of a clip, in the order of coding.

    The first picture has none.  Each picture a stride after another, and the last one, has that
    other (for the last one, the nearest such picture before it) as its earlier source.  After each
    of them comes the middle of the gap before it, with its ends as sources, then the middles of
    the halves, and so on.
    """
    order: dict[int, tuple[int | None, int | None]] = {0: (None, None)}
    before = 0
    while before < clip.pictures - 1:
        after = min(before + clip.stride, clip.pictures - 1)
        order[after] = before, None
        gaps = [(before, after)]
        for first, last in gaps:
            if last - first > 1:
                middle = (first + last) // 2
                order[middle] = first, last
                gaps += [(first, middle), (middle, last)]
        before = after
    return order
