"""How much one visitor may have: what holds for a token, or for an address without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of all connections of a visitor together; 0 is no limit.

    As they stand, half of all connections may come from one address: a thousand clients behind one
    router are served, and nobody alone shuts the others out.
    """

    connections: int = 1000
    """At once, those that are being opened and plain requests included."""
    streams: int = 4096
    """At once.  One connection has so many as its WELCOME says, 64."""
    bytes_per_second: float = 0
    """On average; what is too much waits."""
    bytes_per_hour: float = 0
    """The same over a longer time: so much may go at once after a rest."""
    encoder_seconds_per_hour: float = 0
    """Of a thread that encodes; what is too much is refused with the time to come back."""
    unproven_seconds_per_hour: float = 180
    """The same towards what a visitor says to hold already and does not prove; a third of it at
    once.  What is proven costs nothing of this."""
    requests_per_second: float = 100
    """On average, openings of WebSockets included; ten times as many may come at once."""

    def but(self, changes: Mapping[str, float]) -> Limits:
        """Return them with some replaced, by the names of their fields."""
        return replace(self, **changes) if changes else self  # type: ignore[arg-type]


NONE = Limits(connections=0, streams=0, requests_per_second=0)
"""No limits at all, but for what nobody proves."""
