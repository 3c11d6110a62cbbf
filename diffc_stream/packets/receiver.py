"""Packets of any streams, in any order, from any number of antennas: what they tell together."""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum

from diffc_stream.errors import DamagedPacket
from diffc_stream.packets.grammar import Kind, Packet
from diffc_stream.packets.stream import Gathered

MOST_STREAMS = 8
MOST_BYTES = 4 * 2**20
"""Bytes of pieces and repairs held of one stream."""


class Outcome(Enum):
    """What a packet was good for."""

    NEW = "new"
    KNOWN = "known"
    """It tells nothing that is not known already."""
    STATION = "station"
    FOREIGN = "foreign"
    """It is of another stream than the one wanted, or cannot be of the one that it names."""
    DAMAGED = "damaged"
    """Its check failed, or it is no packet."""


class Receiver:
    """Gather streams from packets.

    ``wanted`` is the only stream to gather, by the number that its packets name; by default up to
    ``most_streams`` are, and the one not heard of for longest makes place for another.  Each holds
    at most ``most_bytes``.
    """

    def __init__(
        self,
        *,
        wanted: int | None = None,
        most_streams: int = MOST_STREAMS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.streams: OrderedDict[int, Gathered] = OrderedDict()
        """What is gathered, by the number of the stream; the one last heard of is the last."""
        self.counts = dict.fromkeys(Outcome, 0)
        """How many packets there were of each outcome."""
        self.station = ""
        """What the sender says of itself, as one line."""
        self._wanted = wanted
        self._most_streams, self._most_bytes = most_streams, most_bytes

    def take(self, data: bytes) -> Outcome:
        """Take a packet, and return what it was good for.  Never raises, whatever the bytes."""
        outcome = self._taken(data)
        self.counts[outcome] += 1
        return outcome

    @property
    def newest(self) -> Gathered | None:
        """The stream last heard of."""
        return next(reversed(self.streams.values()), None)

    def _taken(self, data: bytes) -> Outcome:
        try:
            packet = Packet.parse(data)
        except DamagedPacket:
            return Outcome.DAMAGED
        if packet.kind is Kind.STATION:
            said = packet.body.decode(errors="replace")
            self.station = "".join(letter if letter.isprintable() else "?" for letter in said)
            return Outcome.STATION
        if self._wanted not in (None, packet.stream):
            return Outcome.FOREIGN
        stream = self.streams.get(packet.stream)
        if stream is None:
            stream = Gathered(packet.stream, len(data), most_bytes=self._most_bytes)
            self.streams[packet.stream] = stream
            if len(self.streams) > self._most_streams:
                self.streams.popitem(last=False)
        elif stream.size != len(data):
            return Outcome.FOREIGN
        self.streams.move_to_end(packet.stream)
        return Outcome.NEW if stream.take(packet) else Outcome.KNOWN
