"""Integers of a stream: seven bits per byte, lowest first; the top bit means that more follow."""

from __future__ import annotations

from diffc_stream.errors import CorruptStream

LONGEST_VARINT = 5
"""Most bytes of an integer."""


class Truncated(Exception):
    """The bytes end within an element, and more may come.  Never raised outside this package."""


def encode_varint(value: int) -> bytes:
    """Return ``value`` >= 0 as seven bits per byte, lowest first; the top bit means "more"."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def parse_varint(data: bytes, place: int, *, offset: int = 0) -> tuple[int, int]:
    """Return the varint at ``place`` (at most five bytes, below 2^35) and the place after it."""
    value = 0
    for index in range(LONGEST_VARINT):
        need(data, place + index + 1)
        byte = data[place + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, place + index + 1
    raise CorruptStream("an integer has too many bytes", offset=offset + place)


def need(data: bytes, size: int) -> None:
    """Raise Truncated unless ``data`` has at least ``size`` bytes."""
    if len(data) < size:
        raise Truncated
