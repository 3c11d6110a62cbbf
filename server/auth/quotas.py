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
from diffc_stream.transport.bucket import Bucket, limited, longest_wait
from diffc_stream.transport.exposure import neighbourhood
from diffc_stream.transport.tokens import MOST_TOKENS, Token

from ..encoding.resume_claims import Claims
from .limits import NONE, Limits
from .sending_budget import SendingBudget

MOST_VISITORS = 4096
"""How many addresses are remembered; beyond that, the longest disconnected one is forgotten.

Tokens are apart from them, as many as a file has at most: strangers with many addresses must not
have a token's debts forgotten.
"""
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
        """Allow ``per_hour`` seconds; 0 is no limit."""
        self._clock = clock
        self._bucket: Bucket | None = None
        self.allow(per_hour)

    def allow(self, per_hour: float) -> None:
        """Change the seconds an hour, also for streams that have begun; what was used counts."""
        self._bucket = limited(self._bucket, per_hour / HOUR, per_hour, self._clock())

    def wait(self) -> float:
        """Return the seconds until the client may have something encoded; 0 is now."""
        return self._bucket.wait(self._clock()) if self._bucket is not None else 0.0

    def charge(self, seconds: float) -> None:
        """Subtract seconds of an encoder."""
        if self._bucket is not None:
            self._bucket.take(seconds)

    def full(self) -> bool:
        """Tell whether the whole budget is available."""
        return self._bucket is None or self._bucket.full(self._clock())


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
        self._clock = clock
        self.connections = 0
        self.streams = 0
        self.guesses = guesses.allowance(clock())
        self.claims = Claims(clock, limits.unproven_seconds_per_hour)
        self.regions = Regions(clock)
        self._second: Bucket | None = None
        self._hour: Bucket | None = None
        self._requests: Bucket | None = None
        self._encoding = Budget(limits.encoder_seconds_per_hour, clock)
        self._limit(limits)

    def change(self, limits: Limits) -> None:
        """Apply other limits from now on; what was used before counts against them."""
        if limits != self.limits:
            self.claims.allow(limits.unproven_seconds_per_hour)
            self._encoding.allow(limits.encoder_seconds_per_hour)
            self._limit(limits)

    @property
    def encoding(self) -> Budget | None:
        """The encoder time that it may use; None if that is not limited."""
        return self._encoding if self.limits.encoder_seconds_per_hour else None

    def _limit(self, limits: Limits) -> None:
        self.limits = limits
        now, rate, hourly = self._clock(), limits.bytes_per_second, limits.bytes_per_hour
        self._second = limited(self._second, rate, max(rate, LEAST_BURST), now)
        self._hour = limited(self._hour, hourly / HOUR, max(hourly, LEAST_BURST), now)
        self.sending = tuple(one for one in (self._second, self._hour) if one is not None)
        requests = limits.requests_per_second
        self._requests = limited(self._requests, requests, max(1.0, BURST * requests), now)
        self.requests = (self._requests,) if self._requests is not None else ()


class ConnectionQuota:
    """One connection's share of a client's limits."""

    __slots__ = (
        *("_budget", "_ended", "_held", "_client"),
        *("claims", "cookie", "name", "peer", "regions", "token"),
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
        self.claims = client.claims
        """What the client claims to hold already, and has yet to prove."""
        self.regions = client.regions
        """The regions that the client has had encoded."""
        self._client = client
        self._budget = budget
        self._held = 0
        self._ended = False
        client.connections += 1

    @property
    def account(self) -> Budget | None:
        """Is charged for what is encoded for the connection; None if encoding is not limited."""
        return self._client.encoding

    @property
    def paced(self) -> bool:
        """Whether its bytes are limited, so that sending may have to wait."""
        return bool(self._client.sending) or self._budget is not None

    def change(self, limits: Limits) -> None:
        """Apply other limits to all connections of the client."""
        self._client.change(limits)

    def spend(self, size: int) -> None:
        """Count ``size`` bytes as sent."""
        for bucket in self._client.sending:
            bucket.take(size)
        if self._budget is not None:
            self._budget.spend(size)

    def ready_at(self, now: float) -> float:
        """Return the time from which a whole frame may be sent; ``now`` if it may already."""
        sending = self._client.sending
        wait = longest_wait(sending, now) if sending else 0.0
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
        self._tokens: OrderedDict[str, ClientQuota] = OrderedDict()
        self._addresses: OrderedDict[str, ClientQuota] = OrderedDict()

    def __len__(self) -> int:
        return len(self._tokens) + len(self._addresses)

    def client(self, address: str, token: Token | None, limits: Limits) -> ClientQuota:
        """Return the client that shows ``token``, or without one comes from ``address``."""
        if token is not None:
            quotas, key, most = self._tokens, token.name, MOST_TOKENS
            limits = limits.but(token.limits)
        else:
            quotas, key, most = self._addresses, neighbourhood(address), MOST_VISITORS
        client = quotas.get(key)
        if client is None:
            client = quotas[key] = ClientQuota(limits, self._clock)
        client.change(limits)
        quotas.move_to_end(key)
        while len(quotas) > most and _forget_one(quotas, client):
            pass
        return client


def _forget_one(quotas: OrderedDict[str, ClientQuota], newest: ClientQuota) -> bool:
    """Forget the longest disconnected client but ``newest``; return False if there is none."""
    for key, client in quotas.items():
        if not client.connections and client is not newest:
            del quotas[key]
            return True
    return False
