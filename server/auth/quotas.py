"""Who is here, and what they may still have: counts and budgets by token or by address.

A visitor is whoever shows one token, from wherever, or without tokens an address; of IPv6 the first
64 bits of it, since a household or a phone has all the others to itself.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from diffc_stream.transport import guesses
from diffc_stream.transport.bucket import Bucket, longest_wait
from diffc_stream.transport.exposure import neighbourhood
from diffc_stream.transport.tokens import Token

from ..encoding.resume_claims import Claims
from .limits import NONE, Limits

MOST_VISITORS = 4096
"""Visitors that are remembered; of those that have left, the one that was here last goes last."""
HOUR = 3600.0
LEAST_BURST = 4096.0
"""Bytes that may always be sent at once after a rest: a frame is not cut into slivers."""
BURST = 10.0
"""Seconds' worth of requests that may come at once."""

Clock = Callable[[], float]


class Budget:
    """Seconds of encoders that a visitor has."""

    def __init__(self, per_hour: float, clock: Clock) -> None:
        self._clock = clock
        self._bucket = Bucket(per_hour / HOUR, per_hour, clock())

    def wait(self) -> float:
        """Return the seconds until it may have something encoded; 0: now."""
        return self._bucket.wait(self._clock())

    def charge(self, seconds: float) -> None:
        """Take seconds of an encoder off it."""
        self._bucket.take(seconds)

    def full(self) -> bool:
        """Tell whether nothing is missing."""
        return self._bucket.full(self._clock())


class Visitor:
    """All connections of one token or address."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        now = clock()
        self.limits = limits
        self.connections = 0
        self.streams = 0
        self.sending = tuple(
            Bucket(rate, max(capacity, LEAST_BURST), now)
            for rate, capacity in (
                (limits.bytes_per_second, limits.bytes_per_second),
                (limits.bytes_per_hour / HOUR, limits.bytes_per_hour),
            )
            if rate
        )
        requests = limits.requests_per_second
        self.requests = (Bucket(requests, max(1.0, BURST * requests), now),) if requests else ()
        self.guesses = guesses.allowance(now)
        encoding = limits.encoder_seconds_per_hour
        self.encoding = Budget(encoding, clock) if encoding else None
        self.claims = Claims(clock, limits.unproven_seconds_per_hour)


class Visit:
    """One connection of a visitor: what it may do."""

    __slots__ = (
        *("_ended", "_held", "_sending", "_visitor"),
        *("account", "claims", "cookie", "name", "peer", "token"),
    )

    def __init__(
        self, visitor: Visitor, peer: str = "", token: Token | None = None, cookie: str = ""
    ) -> None:
        self.peer = peer
        """Its address."""
        self.token = token
        self.cookie = cookie
        """What its browser is to remember, if anything."""
        self.name = token.name if token is not None else ""
        """Of its token."""
        self.account = visitor.encoding
        """Who pays for what is encoded for it; None: nobody counts."""
        self.claims = visitor.claims
        """What it says to hold already, and has yet to prove."""
        self._visitor = visitor
        self._sending = visitor.sending
        self._held = 0
        self._ended = False
        visitor.connections += 1

    @property
    def paced(self) -> bool:
        """Its bytes are counted, and may have to wait."""
        return bool(self._sending)

    def spend(self, size: int) -> None:
        """Count bytes that are sent."""
        for bucket in self._sending:
            bucket.take(size)

    def ready_at(self, now: float) -> float:
        """Return when something may be sent, ``now`` if it may already; then a whole frame may."""
        return now + longest_wait(self._sending, now) if self._sending else now

    def hold(self, streams: int) -> bool:
        """Say how many streams this connection has; tell whether the visitor may have as many."""
        visitor = self._visitor
        if not self._ended:
            visitor.streams += streams - self._held
            self._held = streams
        return not 0 < visitor.limits.streams < visitor.streams

    def end(self) -> None:
        """Give back what the connection holds; a second time nothing happens."""
        if not self._ended:
            self.hold(0)
            self._ended = True
            self._visitor.connections -= 1


def unlimited() -> Visit:
    """Return the visit of somebody whom nobody counts."""
    return Visit(Visitor(NONE, time.monotonic))


class Visits:
    """All visitors, as far as there is a reason to remember them."""

    def __init__(self, clock: Clock) -> None:
        """Count by ``clock``, which gives seconds."""
        self._clock = clock
        self._visitors: OrderedDict[tuple[str, str], Visitor] = OrderedDict()

    def __len__(self) -> int:
        return len(self._visitors)

    def visitor(self, address: str, token: Token | None, limits: Limits) -> Visitor:
        """Return whoever shows ``token``, or without one comes from ``address``."""
        if token is not None:
            key, limits = ("token", token.name), limits.but(token.limits)
        else:
            key = ("address", neighbourhood(address))
        visitor = self._visitors.get(key)
        if visitor is None or (visitor.limits != limits and not visitor.connections):
            visitor = self._visitors[key] = Visitor(limits, self._clock)
        self._visitors.move_to_end(key)
        while len(self._visitors) > MOST_VISITORS and self._forget_one(visitor):
            pass
        return visitor

    def _forget_one(self, newest: Visitor) -> bool:
        for key, visitor in self._visitors.items():
            if not visitor.connections and visitor is not newest:
                del self._visitors[key]
                return True
        return False
