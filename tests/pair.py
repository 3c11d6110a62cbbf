"""A sender's and a receiver's session joined by a link that exists in virtual time only.

The sender's driver is here too: it sends what ``streams`` holds, in turn, as credit allows.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field

from diffc_stream.session import (
    Catalogue,
    Code,
    Data,
    End,
    Entry,
    Error,
    List,
    Message,
    Open,
    Reason,
    ReceiverSession,
    SenderSession,
    Session,
    Terms,
)


@dataclass(slots=True)
class Pair:
    """Two sessions, and a link of ``latency`` seconds and ``rate`` bytes per second each way."""

    streams: dict[str, bytes] = field(default_factory=dict)
    latency: float = 0.1
    rate: float = 1000.0
    frame: int = 400
    terms: Terms = field(default_factory=Terms)
    receiver_terms: Terms | None = None

    now: float = 0.0
    cut: bool = False
    """The link takes messages and loses them."""
    events: list[Message] = field(default_factory=list)
    """What the receiver's session reported."""
    received: dict[int, bytearray] = field(default_factory=dict)
    """Payloads by stream."""
    most_under_way: int = 0
    """The most payload that was ever sent and not yet acknowledged."""
    payload_sent: int = 0
    sender: SenderSession = field(init=False)
    receiver: ReceiverSession = field(init=False)
    _opened: dict[int, Open] = field(default_factory=dict)
    _arrivals: list[tuple[float, int, Session, bytes]] = field(default_factory=list)
    _number: itertools.count[int] = field(default_factory=itertools.count)
    _free_at: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sender = SenderSession(now=0.0, terms=self.terms)
        self.receiver = ReceiverSession(now=0.0, terms=self.receiver_terms or self.terms)

    def run(self, seconds: float = 1e6) -> None:
        """Let ``seconds`` pass, or less if there is nothing left but signs of life."""
        end = self.now + seconds
        while True:
            self._flush()
            times = [self._arrivals[0][0]] if self._arrivals else []
            timeouts = [self.sender.next_timeout(), self.receiver.next_timeout()]
            if not times and seconds >= 1e6 and not self.cut:
                return
            times += [timeout for timeout in timeouts if timeout is not None]
            if not times or min(times) > end:
                self.now = end
                return
            self.now = max(self.now, min(times))
            self._deliver()
            self.sender.handle_timeout(self.now)
            self.receiver.handle_timeout(self.now)

    def run_until(self, nbytes: int, stream: int = 1) -> None:
        """Run until so many bytes of a stream have arrived."""
        while len(self.received.get(stream, b"")) < nbytes:
            self._flush()
            self.now = self._arrivals[0][0]
            self._deliver()

    def ends(self) -> list[tuple[int, Reason]]:
        """Return which streams ended, and why."""
        return [(e.stream, e.reason) for e in self.events if isinstance(e, End)]

    def errors(self) -> list[tuple[int, str]]:
        """Return which streams failed, and why."""
        return [(e.stream, e.code) for e in self.events if isinstance(e, Error)]

    def _flush(self) -> None:
        self._serve()
        for session, other, way in (
            (self.sender, self.receiver, "down"),
            (self.receiver, self.sender, "up"),
        ):
            for data in session.transmit(self.now):
                leaves = max(self.now, self._free_at.get(way, 0.0)) + len(data) / self.rate
                self._free_at[way] = leaves
                if not self.cut:
                    arrival = (leaves + self.latency, next(self._number), other, data)
                    heapq.heappush(self._arrivals, arrival)

    def _serve(self) -> None:
        progress = True
        while progress:
            progress = False
            for stream in self.sender.streams:
                if self.sender.credit and self._send_some(stream):
                    progress = True
        self.most_under_way = max(self.most_under_way, self.sender.under_way)

    def _send_some(self, stream: int) -> bool:
        request, position = self._opened[stream], self.sender.position(stream)
        data = self.streams[request.image]
        limit = len(data) if request.bytes is None else min(len(data), request.bytes)
        if position >= limit:
            reason = Reason.COMPLETE if position >= len(data) else Reason.TARGET
            self.sender.end(stream, reason)
            return False
        payload = data[position : min(limit, position + min(self.frame, self.sender.credit))]
        self.sender.send(stream, payload)
        self.payload_sent += len(payload)
        return True

    def _deliver(self) -> None:
        while self._arrivals and self._arrivals[0][0] <= self.now:
            _, _, session, data = heapq.heappop(self._arrivals)
            event = session.receive(data, self.now)
            if session is self.sender:
                self._answer(event)
            elif event is not None:
                self.events.append(event)
                if isinstance(event, Data):
                    self.received.setdefault(event.stream, bytearray()).extend(event.payload)

    def _answer(self, event: Message | None) -> None:
        if isinstance(event, List):
            self.sender.catalogue(entry(name, data) for name, data in self.streams.items())
        elif isinstance(event, Open):
            self._opened[event.stream] = event
            if event.image not in self.streams:
                self.sender.refuse(event.stream, Code.UNKNOWN_IMAGE, f"no {event.image}")

    def names(self) -> list[str]:
        """Return the names of all catalogues so far."""
        return [i.name for e in self.events if isinstance(e, Catalogue) for i in e.images]


def entry(name: str, data: bytes = b"") -> Entry:
    """Return what a catalogue says of a picture."""
    return Entry(name=name, size=len(data), time=0, thumbprint="0" * 16)
