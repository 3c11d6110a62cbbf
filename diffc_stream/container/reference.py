"""What the header of a stream says of the picture that the stream starts from.

    reference = size:varint digest:8 bytes length:u8 name shift:varint shift:varint
                cut:varint cut:varint length:varint trust

A reference is a picture that the receiver has already: a thumbnail, the picture before of the same
camera, the beginning of a stream.  It is named by its bytes: ``size`` of them, and the first eight
of their SHA-256.  The name, which may be empty, helps to find it and proves nothing.  The shifts,
down and to the right, say by how many pixels the reference has moved, and the cuts how many of its
rows and columns are then beyond the picture, below and to the right; so a picture may be a part of
its reference.  Shifts n >= 0 are stored as 2 n and n < 0 as -2 n - 1.  Trust says how well the
reference describes each scale and each place: :mod:`diffc_stream.diffusion.trust` defines it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from diffc_stream.container.varint import LONGEST_VARINT, encode_varint, need, parse_varint
from diffc_stream.errors import CorruptStream

DIGEST = 8
"""Bytes of a digest."""
MOST_NAME = 255
"""Most bytes of a name, in UTF-8."""
MOST_SHIFT = 65_535
"""The farthest that a reference may be moved, and the most that may be cut off, in pixels."""
MOST_TRUST = 4096
"""Most bytes that say how far a reference is trusted; there is at least one."""
MOST_BACK = 100
"""So many streams that start from one another are followed."""
MOST_SIZE = 2**30
"""The largest file, in bytes, that may be a reference."""
MOST_REFERENCE = 6 * LONGEST_VARINT + DIGEST + 1 + MOST_NAME + MOST_TRUST
"""Most bytes of a reference in a header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The picture that a stream starts from, and how far it is trusted."""

    size: int
    """How many bytes of a file it is: a whole file, or the beginning of a stream."""
    digest: bytes
    """The first DIGEST bytes of the SHA-256 of those bytes."""
    name: str = ""
    """Where the receiver may look for the file, if it is not empty."""
    shift: tuple[int, int] = (0, 0)
    """By how many pixels the reference has moved, down and to the right."""
    cut: tuple[int, int] = (0, 0)
    """How many of its rows and columns the picture does not show, at the bottom and the right."""
    trust: bytes
    """As diffusion.trust writes it, 1 to MOST_TRUST bytes."""

    def encode(self) -> bytes:
        """Return the reference's bytes in a header."""
        assert nameable(self.name)
        name = self.name.encode(errors="replace")
        assert len(self.digest) == DIGEST
        return (
            encode_varint(self.size)
            + self.digest
            + bytes([len(name)])
            + name
            + b"".join(encode_varint(_folded(shift)) for shift in self.shift)
            + b"".join(encode_varint(cut) for cut in self.cut)
            + encode_varint(len(self.trust))
            + self.trust
        )

    @classmethod
    def parse(cls, data: bytes, place: int) -> tuple[Reference, int]:
        """Return the reference at ``place`` of a header and the place after it.

        Raises Truncated or CorruptStream.
        """
        begin = place
        size, place = parse_varint(data, place)
        need(data, place + DIGEST + 1)
        digest = data[place : place + DIGEST]
        length = data[place + DIGEST]
        place += DIGEST + 1
        need(data, place + length)
        name = data[place : place + length].decode("utf-8", errors="replace")
        down, place = parse_varint(data, place + length)
        right, place = parse_varint(data, place)
        below, place = parse_varint(data, place)
        beside, place = parse_varint(data, place)
        known, place = parse_varint(data, place)
        shift, cut = (_unfolded(down), _unfolded(right)), (below, beside)
        if not possible(size, shift, cut):
            raise CorruptStream("the header names an impossible reference", offset=begin)
        if not 1 <= known <= MOST_TRUST:
            raise CorruptStream(f"the header says in {known} bytes what to trust", offset=begin)
        need(data, place + known)
        reference = cls(
            size=size, digest=digest, name=name, shift=shift, cut=cut, trust=data[place:][:known]
        )
        return reference, place + known

    @property
    def told(self) -> str:
        """The reference in words, for messages."""
        name = f"{_plain(self.name)}, " if self.name else ""
        return f"{name}{self.size:,} bytes whose SHA-256 begins with {self.digest.hex()}"

    def matches(self, data: bytes) -> bool:
        """Return whether ``data`` begins with the bytes that are meant."""
        return len(data) >= self.size and digest(data[: self.size]) == self.digest


def possible(size: int, shift: tuple[int, int], cut: tuple[int, int]) -> bool:
    """Return whether a header can say that a reference has these bytes, shift and cut."""
    return 1 <= size <= MOST_SIZE and max(map(abs, shift + cut)) <= MOST_SHIFT


def nameable(name: str) -> bool:
    """Return whether a header can say this name, or none if it is empty."""
    return len(name.encode(errors="replace")) <= MOST_NAME


def digest(data: bytes) -> bytes:
    """Return what names ``data`` as a reference."""
    return hashlib.sha256(data).digest()[:DIGEST]


def _plain(name: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in name)


def _folded(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def _unfolded(value: int) -> int:
    return value // 2 if value % 2 == 0 else -(value + 1) // 2
