"""The limits of one client: of a token, or of an address where there are no tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits over all connections of a client together; 0 is no limit.

    By default half of all connections may come from one address: a thousand clients behind one
    router are served, and no single address can take all places.
    """

    connections: int = 1000
    """Connections at once, those that are being opened and plain requests included."""
    streams: int = 4096
    """Streams at once.  A single connection may have as many as its WELCOME says, 64."""
    bytes_per_second: float = 0
    """On average; above that, sending waits."""
    bytes_per_hour: float = 0
    """The same over a longer time: after an idle hour so much may be sent at once."""
    encoder_seconds_per_hour: float = 0
    """Time of an encoder thread; above that, requests are refused with a Retry-After."""
    unproven_seconds_per_hour: float = 180
    """The same for checking what a client claims to hold already and does not prove, of which a
    third may be used at once.  Claims that are proven cost nothing."""
    requests_per_second: float = 100
    """On average, openings of WebSockets included; ten times as many may come at once."""

    def but(self, changes: Mapping[str, float]) -> Limits:
        """Return a copy with some limits replaced, by the names of their fields."""
        return replace(self, **changes) if changes else self  # type: ignore[arg-type]


NONE = Limits(connections=0, streams=0, requests_per_second=0)
"""No limits, except for claims that are not proven."""
