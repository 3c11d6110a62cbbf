"""The text of packets: a stream, and a map of it by which it can be read where parts are missing.

    text = size:varint begin:varint length:varint stream[:begin] map stream[begin:size] zero*

``length`` is the map's.  Zeros fill the last piece; ``size`` is the stream's length.

A stream says what it holds between its payloads, a byte or a few for each step.  Whoever misses
those bytes does not know where the next step begins.  The map repeats them: for each record that
does not end within ``begin`` bytes, the description of a step, or the tag of a check that stands
between two steps, or the tag and the length of facts.  It may end early; then a stream can be read
up to the first gap behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from diffc_stream.container.grammar import (
    ABOUT_TAG,
    CHECK_DUE,
    CHECK_SIZE,
    CHECK_TAG,
    Before,
    Header,
    Step,
    segments,
)
from diffc_stream.container.varint import Truncated, encode_varint, parse_varint
from diffc_stream.errors import CorruptStream, StreamError

LONGEST = 16
"""No description of a step has more bytes."""
MOST_MAP = 4
"""The map takes at most one in so many bytes of the first piece."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a text begins with."""

    size: int
    """Bytes of the stream."""
    begin: int
    """Bytes of the stream before the map."""
    length: int
    """Bytes of the map."""
    place: int
    """Where in the text the stream begins."""

    @classmethod
    def parse(cls, data: bytes) -> Head:
        """Return the head of a text.  Raises Truncated or CorruptStream."""
        size, place = parse_varint(data, 0)
        begin, place = parse_varint(data, place)
        length, place = parse_varint(data, place)
        if begin > size:
            raise CorruptStream("packets of which no stream can be made", offset=0)
        return cls(size=size, begin=begin, length=length, place=place)

    @property
    def total(self) -> int:
        """Bytes of the text, without the zeros at its end."""
        return self.place + self.size + self.length

    @property
    def first(self) -> int:
        """Bytes of the text up to the end of the map."""
        return self.place + self.begin + self.length

    def offset(self, place: int) -> int:
        """Return the offset in the stream of a place in the text; in the map, that of its end."""
        before = min(max(0, place - self.place), self.begin)
        return min(self.size, before + max(0, place - self.first))


def text(stream: bytes, piece: int) -> bytes:
    """Return the text of ``stream`` in whole pieces of ``piece`` bytes.

    The map ends with the first piece, and has at most a quarter of it.
    """
    most = piece // MOST_MAP
    begin = min(len(stream), piece)
    while True:
        begun = begin
        chart = _chart(stream, begin, most)
        head = encode_varint(len(stream)) + encode_varint(begin) + encode_varint(len(chart))
        begin = min(len(stream), piece - len(head) - len(chart))
        if begin >= begun:  # once it has shrunk no more, all fits
            break
    whole = head + stream[:begun] + chart + stream[begun:]
    return whole + bytes(-len(whole) % piece)


def records(
    data: bytes, chart: bytes = b"", *, end: int | None = None
) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, what it says) of all records of a stream that begins with ``data``.

    Records that ``data`` does not hold whole are read from ``chart``, a map.  Reading ends at
    ``end``, or with an offset and nothing, where both end or something cannot be understood.
    """
    place, after, before, unchecked = 0, 0, Before(), 0
    try:
        _, place = Header.parse(data)
        unchecked = place
        while end is None or place < end:
            said = _said(data[place : place + LONGEST], before)
            if not said:
                said = _said(chart[after : after + LONGEST], before)
                after += len(said)
            yield place, said
            if not said:
                return
            if said[0] == CHECK_TAG:
                place, unchecked = place + CHECK_SIZE, 0
            elif said[0] == ABOUT_TAG:
                place, unchecked = place + len(said) + said[1] + CHECK_SIZE, 0
            else:
                step, size = Step.parse(said, before, place)
                before = before.after(step)
                place, unchecked = place + size, unchecked + size
                for segment in segments(step.length):
                    place += segment
                    unchecked += segment
                    if unchecked >= CHECK_DUE:
                        place, unchecked = place + CHECK_SIZE, 0
                    if end is not None and place > end:
                        return
    except (Truncated, StreamError):
        yield place, b""


def _said(data: bytes, before: Before) -> bytes:
    """Return what the record at the start of ``data`` says, nothing if that is not all there."""
    if data[:1] == bytes([CHECK_TAG]):
        return data[:1]
    if data[:1] == bytes([ABOUT_TAG]):
        return data[:2] if len(data) >= 2 else b""
    try:
        return data[: Step.parse(data, before, 0)[1]]
    except Truncated:
        return b""


def _chart(stream: bytes, begin: int, most: int) -> bytes:
    """Return the map of what comes after ``begin``: as many records as fit ``most`` bytes."""
    chart = b""
    for place, said in records(stream, end=len(stream)):
        if said and place + len(said) > begin:
            if len(chart) + len(said) > most:
                break
            chart += said
    return chart
