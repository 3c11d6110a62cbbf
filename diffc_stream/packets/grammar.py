"""The grammar of packets.

    packet  = kind:u8 stream:u16 place:u16 check:u16 body
    piece   = packet with kind 0xd1: place is the piece's number, body the piece
    repair  = packet with kind 0xd2: place is draw:u8 window:u8, body a sum of pieces
    station = packet with kind 0xd3: stream and place are 0, body is text in UTF-8

Integers are little-endian.  The check is the low 16 bits of the CRC32C of the packet without it.
All pieces and repairs of a stream have one size.  Pieces, one after the other, are the *text*
(:mod:`~diffc_stream.packets.text`); ``stream`` is the low 16 bits of the text's CRC32C.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from diffc_stream.container.grammar import crc32c
from diffc_stream.errors import DamagedPacket

HEAD = 7
"""Bytes of a packet before its body."""
SMALLEST = 64
LARGEST = 1400
"""Bytes of a packet: what LoRa and satellites carry, and what fits a datagram of Ethernet."""
MOST_PIECES = 2**16
WIDEST = 128
"""The most pieces that a repair sums up."""
DRAWS = 128
"""How many repairs of a window differ."""
LONGEST_STATION = 57
"""The most bytes of a station's text."""

_LAYOUT = struct.Struct("<BHHH")


class Kind(IntEnum):
    """What a packet holds."""

    PIECE = 0xD1
    REPAIR = 0xD2
    STATION = 0xD3


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One packet."""

    kind: Kind
    stream: int
    """Which stream it belongs to, 0 to 65,535."""
    place: int
    """Number of a piece, or draw and window of a repair, 0 to 65,535."""
    body: bytes

    def encode(self) -> bytes:
        """Return the packet's bytes."""
        check = _check(self.kind, self.stream, self.place, self.body)
        return _LAYOUT.pack(self.kind, self.stream, self.place, check) + self.body

    @classmethod
    def parse(cls, data: bytes) -> Packet:
        """Return the packet of these bytes.  Raises DamagedPacket unless they are all of one."""
        if not HEAD < len(data) <= LARGEST:
            raise DamagedPacket(f"{len(data)} bytes are no packet")
        kind, stream, place, check = _LAYOUT.unpack_from(data)
        body = bytes(data[HEAD:])
        if kind not in set(Kind):
            raise DamagedPacket(f"packets do not start with 0x{kind:02x}")
        if check != _check(kind, stream, place, body):
            raise DamagedPacket("a packet's check failed")
        packet = cls(kind=Kind(kind), stream=stream, place=place, body=body)
        if kind == Kind.REPAIR and not (1 <= packet.window <= WIDEST and packet.draw < DRAWS):
            raise DamagedPacket("a repair of a window that there is not")
        if kind == Kind.STATION and (stream or place or len(body) > LONGEST_STATION):
            raise DamagedPacket("a station's text has no place, and is short")
        if kind != Kind.STATION and len(data) < SMALLEST:
            raise DamagedPacket(f"a packet of {len(data)} bytes, fewer than {SMALLEST}")
        return packet

    @property
    def draw(self) -> int:
        """Which of a window's repairs this is, 0 to DRAWS - 1."""
        return self.place & 0xFF

    @property
    def window(self) -> int:
        """How many pieces, from the first on, a repair sums up, 1 to WIDEST."""
        return self.place >> 8


def _check(kind: int, stream: int, place: int, body: bytes) -> int:
    before = struct.pack("<BHH", kind, stream, place)
    return crc32c(body, crc32c(before)) & 0xFFFF
