"""A stream cut into packets, in the order in which they are to be sent."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from diffc_stream.container.grammar import Header, crc32c
from diffc_stream.errors import NotAClip, NotAStream, TargetError
from diffc_stream.packets import erasure
from diffc_stream.packets.grammar import (
    HEAD,
    LARGEST,
    LONGEST_STATION,
    MOST_PIECES,
    SMALLEST,
    Kind,
    Packet,
)
from diffc_stream.packets.plan import Entry, Plan
from diffc_stream.packets.text import Head, records, text

USUAL_SIZE = 200
EVERY = 50
"""Packets from one text of the station to the next."""


class Broadcast:
    """The packets of ``stream``, all of ``size`` bytes, 64 to 1,400, headers included.

    A round of them has at most ``budget`` bytes: the stream is cut for that.  ``plan`` says how
    many repairs there are.  Raises TargetError if nothing fits, or too much would have to, and
    NotAStream, or NotAClip for a clip, which no receiver of packets can show.
    """

    def __init__(
        self,
        stream: bytes,
        *,
        size: int = USUAL_SIZE,
        budget: int | None = None,
        plan: Plan | None = None,
        carousel: bool = False,
        station: str = "",
    ) -> None:
        if not SMALLEST <= size <= LARGEST:
            raise TargetError(f"packets of {size} bytes: they have {SMALLEST} to {LARGEST}")
        if next(records(stream), (0, b""))[0] == 0:
            raise NotAStream("not a .dfc stream, or one without a picture")
        header = Header.at(stream)
        if header is not None and header.clip is not None:
            raise NotAClip("a clip, which cannot be sent in packets")
        self.size = size
        self._plan = plan or Plan()
        self._carousel = carousel
        self._piece = size - HEAD
        self._station = station_packet(station) if station else None
        whole = text(stream, self._piece)
        pieces, self._packets = len(whole) // self._piece, 0
        if budget is not None:
            pieces = min(pieces, self._fitting(budget // size, pieces))
        if pieces > MOST_PIECES:
            raise TargetError(f"a stream of {pieces} packets: give a budget, or larger packets")
        self.text = whole
        if pieces * self._piece < len(whole) and budget is not None:
            self._packets = budget // size
            self.text = _cut(stream, self._piece, pieces)
        self.pieces = pieces
        """How many pieces the stream has."""
        self.identity = crc32c(self.text) & 0xFFFF
        """The number that packets name the stream by."""
        self.stream_bytes = Head.parse(self.text).size
        """Bytes of the stream that are sent."""

    @property
    def round(self) -> int:
        """How many packets a round has, those of the station not counted."""
        return sum(1 for _ in self._plan.entries(self.pieces, packets=self._packets))

    def __iter__(self) -> Iterator[bytes]:
        """Yield the packets of one round, or of an endless carousel.

        A station's text comes first, and again before every 50th packet.
        """
        entries = self._plan.entries(self.pieces, carousel=self._carousel, packets=self._packets)
        for number, entry in enumerate(entries):
            if self._station is not None and number % EVERY == 0:
                yield self._station
            yield self.packet(entry)

    def packet(self, entry: Entry) -> bytes:
        """Return the packet of an entry of a plan."""
        number, draw = entry
        if draw is None:
            kind, place, body = Kind.PIECE, number, self._body(number)
        else:
            kind, place = Kind.REPAIR, number << 8 | draw
            body = erasure.repair([self._body(index) for index in range(number)], draw)
        return Packet(kind=kind, stream=self.identity, place=place, body=body).encode()

    def _body(self, number: int) -> bytes:
        return self.text[number * self._piece : (number + 1) * self._piece]

    def _fitting(self, packets: int, pieces: int) -> int:
        """Return how many pieces a round of ``packets`` has; ``pieces`` is how many there are."""
        sent = takewhile(lambda entry: entry[0] < packets, enumerate(self._plan.entries(pieces)))
        fitting = sum(1 for _, (_, draw) in sent if draw is None)
        if not fitting:
            raise TargetError("the budget is too small for a single packet")
        return fitting


def station_packet(said: str) -> bytes:
    """Return the packet that says who is sending.  Raises TargetError if that is too long."""
    body = said.encode()
    if not 1 <= len(body) <= LONGEST_STATION:
        raise TargetError(f"a station's text has 1 to {LONGEST_STATION} bytes, not {len(body)}")
    return Packet(kind=Kind.STATION, stream=0, place=0, body=body).encode()


def _cut(stream: bytes, piece: int, pieces: int) -> bytes:
    """Return the text of as much of ``stream`` as fills so many pieces."""
    size = min(len(stream), piece * pieces)
    while len(whole := text(stream[:size], piece)) > piece * pieces:
        # Not in one stride: a shorter stream has a shorter map.
        size -= max(1, Head.parse(whole).total - piece * pieces)
    return whole
