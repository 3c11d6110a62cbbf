"""What is known of one stream from the packets that have arrived."""

from __future__ import annotations

from collections.abc import Iterator

from diffc_stream.container.grammar import crc32c
from diffc_stream.container.varint import Truncated
from diffc_stream.errors import CorruptStream
from diffc_stream.packets import erasure
from diffc_stream.packets.grammar import HEAD, Kind, Packet
from diffc_stream.packets.text import Head, records

SPARE = 2
"""So many equations more than pieces are missing are tried."""
_KNOWN = b"\1"


class Gathered:
    """The pieces of one stream, those that arrived and those that repairs tell.

    It holds each piece and each repair once, and at most ``most_bytes`` of them.
    """

    def __init__(self, identity: int, size: int, *, most_bytes: int) -> None:
        self.identity = identity
        """Which stream it is, 0 to 65,535."""
        self.size = size
        """Bytes of a packet."""
        self.duplicates = 0
        """Packets that told nothing new."""
        self.packets = 0
        """Packets that have arrived, each counted once."""
        self.distrusted = 0
        """How often what was there turned out not to be what was sent, and was forgotten."""
        self._piece = size - HEAD
        self._most = most_bytes
        self._pieces: dict[int, bytes] = {}
        self._repairs: dict[int, tuple[int, int, bytes]] = {}
        self._solved: set[int] = set()
        self._head: Head | None = None

    def take(self, packet: Packet) -> bool:
        """Take a piece or a repair, and return whether it tells anything new."""
        assert len(packet.body) == self._piece
        if packet.kind == Kind.PIECE:
            new = packet.place not in self._pieces
            beyond = self.total is not None and packet.place >= self.total
        else:
            new = packet.place not in self._repairs and any(
                number not in self._pieces for number in range(packet.window)
            )
            beyond = self.total is not None and packet.window > self.total
        if not new or beyond or self.held + self._piece > self._most:
            self.duplicates += not new
            return False
        self.packets += 1
        if packet.kind == Kind.PIECE:
            self._pieces[packet.place] = packet.body
        else:
            self._repairs[packet.place] = (packet.window, packet.draw, packet.body)
        self._solve()
        self._read_head()
        if self.missing == 0:
            self._verify()
        return True

    @property
    def held(self) -> int:
        """Bytes of the pieces and repairs that are held."""
        return (len(self._pieces) + len(self._repairs)) * self._piece

    @property
    def total(self) -> int | None:
        """How many pieces the stream has, if that is known."""
        return None if self._head is None else -(-self._head.total // self._piece)

    @property
    def pieces(self) -> int:
        """How many pieces are known."""
        return len(self._pieces)

    @property
    def missing(self) -> int | None:
        """How many pieces are missing, if that is known."""
        return None if self.total is None else self.total - len(self._pieces)

    @property
    def complete(self) -> bool:
        """Whether the whole stream is there."""
        return self.missing == 0

    @property
    def prefix(self) -> bytes:
        """The stream's bytes before the first one that is missing."""
        head = self._head
        if head is None:
            return b""
        known = self._text()
        return known[head.place : head.place + head.begin] + known[head.first : head.total]

    def parts(self) -> Iterator[bytes | int]:
        """Yield the stream as far as it can be read: bytes, and how many are missing in between.

        Missing bytes belong to payloads, checks and facts: a decoder can skip them.  The last part
        ends with a piece: what the map alone tells of what comes behind it would show nothing.
        """
        head = self._head
        prefix = self.prefix
        if head is None or len(self._text()) < head.first:
            yield from [prefix] if prefix else []
            return
        data, known, end = bytearray(head.size), bytearray(head.size), len(prefix)
        for number, piece in self._pieces.items():
            place = number * self._piece
            if place >= head.first:  # what comes before is in the prefix
                first = place - head.place - head.length
                kept = piece[: head.size - first]
                end = max(end, first + len(kept))
                data[first : first + len(kept)] = kept
                known[first : first + len(kept)] = _KNOWN * len(kept)
        data[: len(prefix)], known[: len(prefix)] = prefix, _KNOWN * len(prefix)
        chart = self._text()[head.place + head.begin : head.first]
        ahead = head.size
        for place, said in records(prefix[: head.begin], chart, end=head.size):
            if not said:
                ahead = place
            last = min(head.size, place + len(said))
            data[place:last] = said[: last - place]
            known[place:last] = _KNOWN * (last - place)
        yield from _runs(bytes(data[:end]), bytes(known[:end]), ahead)

    def sent(self) -> Iterator[Packet]:
        """Yield what is held as packets, pieces and repairs, to pass them on."""
        for number, piece in sorted(self._pieces.items()):
            yield Packet(kind=Kind.PIECE, stream=self.identity, place=number, body=piece)
        for place, (_, _, body) in sorted(self._repairs.items()):
            yield Packet(kind=Kind.REPAIR, stream=self.identity, place=place, body=body)

    def _text(self) -> bytes:
        """Return the text up to the first piece that is missing."""
        run: list[bytes] = []
        while (piece := self._pieces.get(len(run))) is not None:
            run.append(piece)
        return b"".join(run)

    def _solve(self) -> None:
        """Compute what pieces the repairs tell, by windows, the smallest first."""
        found: dict[int, bytes] | None = {}
        while found is not None:
            self._pieces |= found
            self._solved |= found.keys()
            missing = {
                window: [number for number in range(window) if number not in self._pieces]
                for window in sorted({window for window, _, _ in self._repairs.values()})
            }
            self._repairs = {
                place: entry for place, entry in self._repairs.items() if missing[entry[0]]
            }
            found = next(filter(None, map(self._solution, missing, missing.values())), None)

    def _solution(self, window: int, missing: list[int]) -> dict[int, bytes] | None:
        usable = [entry for entry in self._repairs.values() if entry[0] <= window]
        if not missing or len(usable) < len(missing):
            return None
        return erasure.solved(missing, usable[: len(missing) + SPARE], self._pieces)

    def _read_head(self) -> None:
        if self._head is not None or 0 not in self._pieces:
            return
        try:
            head = Head.parse(self._text())
        except Truncated:
            return
        except CorruptStream:
            self._distrust()
            return
        if head.total > self._most or head.first > self._most:
            self._distrust()
            return
        self._head = head
        assert self.total is not None
        for number in [number for number in self._pieces if number >= self.total]:
            del self._pieces[number]
        for place, (window, _, _) in list(self._repairs.items()):
            if window > self.total:
                del self._repairs[place]

    def _verify(self) -> None:
        """See whether the text is the one that the packets name."""
        if crc32c(self._text()) & 0xFFFF != self.identity:
            self._distrust()

    def _distrust(self) -> None:
        """Forget what cannot be right: what was computed, or, if nothing was, all."""
        for number in self._solved or set(self._pieces):
            self._pieces.pop(number, None)
        self._repairs.clear()
        self._solved.clear()
        self._head = None
        self.distrusted += 1
        if 0 in self._pieces:
            self._read_head()


def _runs(data: bytes, known: bytes, last: int) -> Iterator[bytes | int]:
    """Yield runs of known bytes, and the sizes of the gaps between them.

    Gaps that reach beyond ``last`` end it: what stands there may say what follows.
    """
    place = 0
    while place < len(data):
        gap = known.find(0, place)
        if gap < 0:
            yield data[place:]
            return
        if gap > place:
            yield data[place:gap]
        place = known.find(_KNOWN, gap)
        if place < 0 or place > last:
            return
        yield place - gap
