"""A sender's and a receiver's session joined by a link that exists in virtual time only.

The sender's driver is here too: it sends what ``streams`` holds, in turn, as credit allows, as far
as the receiver wants.  Time passes by itself (:meth:`Pair.run`), or messages are delivered one by
one, the two ways in any order (:meth:`Pair.deliver`).
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from functools import cache

from diffc_stream.codec.curve import Curve
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
    PrefixHash,
    Reason,
    ReceiverSession,
    Role,
    SenderSession,
    Session,
    Stop,
    Target,
    Terms,
    Update,
)

PIXELS = 4096
"""Of every picture, as far as targets are concerned."""


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
    _images: dict[int, str] = field(default_factory=dict)
    _wanted: dict[int, Open | Update] = field(default_factory=dict)
    _arrivals: list[tuple[float, int, Session, bytes]] = field(default_factory=list)
    _number: itertools.count[int] = field(default_factory=itertools.count)
    _free_at: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reconnect()

    def reconnect(self) -> None:
        """Begin anew with fresh sessions; what was under way is lost."""
        self._arrivals.clear()
        self._images.clear()
        self._wanted.clear()
        self.received.clear()
        self.sender = SenderSession(now=self.now, terms=self.terms)
        terms = self.receiver_terms or self.terms
        self.receiver = ReceiverSession(now=self.now, terms=terms)

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

    def flush(self) -> None:
        """Have both ends put on the link what they have to say."""
        self._flush()

    def under_way(self, to: Role) -> list[bytes]:
        """Return the messages that are on their way to an end, in order."""
        return [data for _, _, _, data in sorted(self._queued(to))]

    def deliver(self, to: Role) -> bytes:
        """Deliver the next message to an end, whatever the other waits for, and return it."""
        arrival = min(self._queued(to))
        self._arrivals.remove(arrival)
        heapq.heapify(self._arrivals)
        at, _, session, data = arrival
        self.now = max(self.now, at)
        self._hand_over(session, data)
        return data

    def damage(self, to: Role, index: int, bit: int) -> None:
        """Flip a bit of one of the messages that are on their way to an end."""
        at, number, session, data = sorted(self._queued(to))[index]
        self._arrivals.remove((at, number, session, data))
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        heapq.heappush(self._arrivals, (at, number, session, bytes(flipped)))
        heapq.heapify(self._arrivals)

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
            while messages := session.transmit(self.now):
                for data in messages:
                    leaves = max(self.now, self._free_at.get(way, 0.0)) + len(data) / self.rate
                    self._free_at[way] = leaves
                    self.on_sent(session, data)
                    if not self.cut:
                        arrival = (leaves + self.latency, next(self._number), other, data)
                        heapq.heappush(self._arrivals, arrival)

    def on_sent(self, session: Session, data: bytes) -> None:
        """Look at a message that is put on the link."""

    def _queued(self, to: Role) -> list[tuple[float, int, Session, bytes]]:
        return [arrival for arrival in self._arrivals if arrival[2].role is to]

    def _serve(self) -> None:
        progress = not self.sender.closed
        while progress:
            progress = False
            for stream in self.sender.streams:
                if self.sender.credit and self._send_some(stream):
                    progress = True
        self.most_under_way = max(self.most_under_way, self.sender.under_way)

    def _send_some(self, stream: int) -> bool:
        position = self.sender.position(stream)
        data = self.streams[self._images[stream]]
        limit = limit_of(data, self._wanted[stream].target)
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
            self._hand_over(session, data)

    def _hand_over(self, session: Session, data: bytes) -> None:
        event = session.receive(data, self.now)
        if session is self.sender:
            self._answer(event)
        elif event is not None:
            self.events.append(event)
            if isinstance(event, Data):
                self.received.setdefault(event.stream, bytearray()).extend(event.payload)

    def _answer(self, event: Message | None) -> None:
        match event:
            case List():
                self.sender.catalogue(entry(name, data) for name, data in self.streams.items())
            case Open():
                self._admit(event)
            case Update():
                self._wanted[event.stream] = event
            case Stop():
                self._wanted.pop(event.stream)

    def _admit(self, request: Open) -> None:
        self._images[request.stream], self._wanted[request.stream] = request.image, request
        data = self.streams.get(request.image)
        if data is None:
            self.sender.refuse(request.stream, Code.UNKNOWN_IMAGE, f"no {request.image}")
        elif request.start and str(PrefixHash(data[: request.start])) != request.prefix:
            self.sender.refuse(request.stream, Code.PREFIX_MISMATCH, "not as held")

    def names(self) -> list[str]:
        """Return the names of all catalogues so far."""
        return [i.name for e in self.events if isinstance(e, Catalogue) for i in e.images]


def limit_of(data: bytes, target: Target) -> int:
    """Return where the sender ends a stream that goes to ``target``."""
    curve = _curve(data)
    limits = [len(data), target.length(PIXELS)]
    if target.side is not None:
        limits.append(curve.opening(target.side))
    if target.psnr is not None:
        good = (
            at for at, psnr in zip(curve.offsets, curve.psnr(), strict=True) if psnr >= target.psnr
        )
        limits.append(next(good, None))
    return min(limit for limit in limits if limit is not None)


@cache
def _curve(data: bytes) -> Curve:
    curve = Curve()
    curve.feed(data)
    return curve


def entry(name: str, data: bytes = b"") -> Entry:
    """Return what a catalogue says of a picture."""
    return Entry(name=name, size=len(data), time=0, thumbprint="0" * 16)
