"""Counts what each client uses, by token or by address, and holds it to its limits.

Where there are tokens, all connections that show the same one are one client, whatever their
address.  Elsewhere a client is an IPv4 address, or the first 64 bits of an IPv6 address, because a
household or a phone has all addresses that differ in the other 64.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from diffc_stream.errors import RequestRefused
from diffc_stream.session import Code
from diffc_stream.transport import guesses
from diffc_stream.transport.bucket import Bucket, longest_wait
from diffc_stream.transport.exposure import neighbourhood
from diffc_stream.transport.tokens import Token

from ..encoding.resume_claims import Claims
from .limits import NONE, Limits
from .sending_budget import SendingBudget

MOST_VISITORS = 4096
"""How many clients are remembered; beyond that, the longest disconnected one is forgotten."""
HOUR = 3600.0
LEAST_BURST = 4096.0
"""Bytes that may always be sent at once after a pause, so that frames stay whole."""
REGIONS = 24
"""Regions that a client may have encoded at once, ..."""
REGION_EVERY = 5.0
"""... and seconds after which it may have another one."""
BURST = 10.0
"""How many seconds' worth of requests may come at once."""

Clock = Callable[[], float]


class Budget:
    """The encoder time that a client may use, in seconds."""

    def __init__(self, per_hour: float, clock: Clock) -> None:
        self._clock = clock
        self._bucket = Bucket(per_hour / HOUR, per_hour, clock())

    def wait(self) -> float:
        """Return the seconds until the client may have something encoded; 0 is now."""
        return self._bucket.wait(self._clock())

    def charge(self, seconds: float) -> None:
        """Subtract seconds of an encoder."""
        self._bucket.take(seconds)

    def full(self) -> bool:
        """Tell whether the whole budget is available."""
        return self._bucket.full(self._clock())


class Regions:
    """The parts of pictures that a client may have encoded that nobody else has asked for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._bucket = Bucket(1 / REGION_EVERY, REGIONS, clock())

    def take(self) -> None:
        """Count one.  Raises RequestRefused, with the time to come back, if it is too many."""
        wait = self._bucket.wait(self._clock(), 1)
        if wait:
            message = "you have asked for too many regions in a short time"
            raise RequestRefused(Code.BUSY, message, retry=True, after=wait)
        self._bucket.take(1)


class ClientQuota:
    """What all connections of one token or address use together."""

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
        self.regions = Regions(clock)


class ConnectionQuota:
    """One connection's share of a client's limits."""

    __slots__ = (
        *("_budget", "_ended", "_held", "_sending", "_client"),
        *("account", "claims", "cookie", "name", "peer", "regions", "token"),
    )

    def __init__(
        self,
        client: ClientQuota,
        peer: str = "",
        token: Token | None = None,
        cookie: str = "",
        budget: SendingBudget | None = None,
    ) -> None:
        self.peer = peer
        """The connection's remote address."""
        self.token = token
        self.cookie = cookie
        """The Set-Cookie that its browser is to get, or an empty string."""
        self.name = token.name if token is not None else ""
        """The name of its token, or an empty string."""
        self.account = client.encoding
        """Is charged for what is encoded for the connection; None if encoding is not limited."""
        self.claims = client.claims
        """What the client claims to hold already, and has yet to prove."""
        self.regions = client.regions
        """The regions that the client has had encoded."""
        self._client = client
        self._budget = budget
        self._sending = client.sending
        self._held = 0
        self._ended = False
        client.connections += 1

    @property
    def paced(self) -> bool:
        """Whether its bytes are limited, so that sending may have to wait."""
        return bool(self._sending) or self._budget is not None

    def spend(self, size: int) -> None:
        """Count ``size`` bytes as sent."""
        for bucket in self._sending:
            bucket.take(size)
        if self._budget is not None:
            self._budget.spend(size)

    def ready_at(self, now: float) -> float:
        """Return the time from which a whole frame may be sent; ``now`` if it may already."""
        wait = longest_wait(self._sending, now) if self._sending else 0.0
        return now + (wait if self._budget is None else max(wait, self._budget.wait()))

    def set_streams(self, streams: int) -> bool:
        """Set how many streams this connection has; return False if the client has too many."""
        client = self._client
        if not self._ended:
            client.streams += streams - self._held
            self._held = streams
        return not 0 < client.limits.streams < client.streams

    def release(self) -> None:
        """Release what the connection holds; further calls do nothing."""
        if not self._ended:
            self.set_streams(0)
            self._ended = True
            self._client.connections -= 1


def unlimited_quota(budget: SendingBudget | None = None) -> ConnectionQuota:
    """Return a share without limits, except for the ``budget`` of all."""
    return ConnectionQuota(ClientQuota(NONE, time.monotonic), budget=budget)


class ClientQuotas:
    """The clients that are connected, and as many of the others as there is room for."""

    def __init__(self, clock: Clock) -> None:
        """Measure time by ``clock``, which returns seconds."""
        self._clock = clock
        self._quotas: OrderedDict[tuple[str, str], ClientQuota] = OrderedDict()

    def __len__(self) -> int:
        return len(self._quotas)

    def client(self, address: str, token: Token | None, limits: Limits) -> ClientQuota:
        """Return the client that shows ``token``, or without one comes from ``address``."""
        if token is not None:
            key, limits = ("token", token.name), limits.but(token.limits)
        else:
            key = ("address", neighbourhood(address))
        client = self._quotas.get(key)
        if client is None or (client.limits != limits and not client.connections):
            client = self._quotas[key] = ClientQuota(limits, self._clock)
        self._quotas.move_to_end(key)
        while len(self._quotas) > MOST_VISITORS and self._forget_one(client):
            pass
        return client

    def _forget_one(self, newest: ClientQuota) -> bool:
        for key, client in self._quotas.items():
            if not client.connections and client is not newest:
                del self._quotas[key]
                return True
        return False
