"""How much a receiver needs under way: the window that it grants with every ACK.

A link that carries r bytes a second with a round trip of t is kept busy by r t bytes under way, and
as acknowledgements come in lumps, by twice as many.  Whatever is more only waits in a
queue, where neither STOP nor UPDATE reaches it.  So the window is

    rate x (2 round trips + SLACK)

and whoever agrees on a larger one gets no more than that.  The round trip is that of HELLO and
WELCOME, before there was any queue; the rate is the best of late, since a sender may have had
nothing to send.  After a loss TCP delivers all that waited behind it at once, at no rate that the
link has: so a rate is taken over SHORTEST or more.  Until there is one the window doubles.
"""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from diffc_stream.session.messages import MAX_WINDOW


class Pace:
    """What a receiver has seen of the link."""

    LEAST: ClassVar[int] = 2200
    """Bytes, before the first ACK too: two of the largest frames."""
    SLACK: ClassVar[float] = 1.0
    """Seconds."""
    SHORTEST: ClassVar[float] = 0.1
    """Seconds."""
    SAMPLES: ClassVar[int] = 8

    def __init__(self, now: float) -> None:
        self.window = self.LEAST
        """Bytes that may be under way."""
        self._greeted = now
        self._round_trip = 0.0
        self._rates: deque[float] = deque(maxlen=self.SAMPLES)
        self._since: float | None = None
        self._bytes = 0

    def welcomed(self, now: float) -> None:
        """WELCOME has come."""
        self._round_trip = now - self._greeted

    def arrived(self, nbytes: int, now: float) -> None:
        """So much payload has come."""
        if self._since is None:
            # From the first bytes only the time counts: they waited for nothing.
            self._since = now
        else:
            self._bytes += nbytes

    def renew(self, now: float) -> None:
        """Set the window to grant with an ACK that is sent now."""
        if self._since is not None and now - self._since >= self.SHORTEST:
            self._rates.append(self._bytes / (now - self._since))
            self._since, self._bytes = now, 0
        if self._rates:
            wanted = max(self._rates) * (2 * self._round_trip + self.SLACK)
            self.window = max(int(wanted), self.LEAST)
        elif self._since is not None:
            # Faster than can be told so far.
            self.window = min(2 * self.window, MAX_WINDOW)
