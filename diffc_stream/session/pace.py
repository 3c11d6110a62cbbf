"""The window that a receiver grants with every ACK: how many bytes may be under way.

The right window keeps the link busy without filling queues.  A link of r bytes a second and a round
trip of t seconds needs r t bytes under way, or twice as many because acknowledgements come in
lumps.  Anything beyond that only waits in a queue, where neither STOP nor UPDATE can reach it.  So
the window is

    rate x (2 round trips + SLACK)

even if both ends agreed on a larger one.  The round trip is the time from HELLO to WELCOME, when
there was no queue yet.  The rate is the best of the last few, because in the others the sender may
have had nothing to send.  Each rate is measured over SHORTEST or longer: after a loss, TCP delivers
everything that waited at once, which would look like a very fast link.  Until there is a rate, the
window doubles with every ACK.
"""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from diffc_stream.session.messages import MAX_WINDOW


class Pace:
    """What a receiver has measured of the link."""

    LEAST: ClassVar[int] = 2200
    """Bytes of the smallest window, also the one before the first ACK: two of the largest
    frames."""
    SLACK: ClassVar[float] = 1.0
    """Seconds added to the round trips."""
    SHORTEST: ClassVar[float] = 0.1
    """Seconds over which a rate is measured, at least."""
    SAMPLES: ClassVar[int] = 8
    """How many of the last rates are remembered."""

    def __init__(self, now: float) -> None:
        self.window = self.LEAST
        """Bytes that may be under way, as granted with the next ACK."""
        self._greeted = now
        self._round_trip = 0.0
        self._rates: deque[float] = deque(maxlen=self.SAMPLES)
        self._since: float | None = None
        self._bytes = 0

    def welcomed(self, now: float) -> None:
        """Take note that WELCOME has come."""
        self._round_trip = now - self._greeted

    def arrived(self, nbytes: int, now: float) -> None:
        """Take note that ``nbytes`` of payload have come."""
        if self._since is None:
            # The first bytes only start the clock: the time that they took is not known.
            self._since = now
        else:
            self._bytes += nbytes

    def renew(self, now: float) -> None:
        """Compute the window to grant with an ACK that is sent now."""
        if self._since is not None and now - self._since >= self.SHORTEST:
            self._rates.append(self._bytes / (now - self._since))
            self._since, self._bytes = now, 0
        if self._rates:
            wanted = max(self._rates) * (2 * self._round_trip + self.SLACK)
            self.window = max(int(wanted), self.LEAST)
        elif self._since is not None:
            # The link is too fast to have been measured yet.
            self.window = min(2 * self.window, MAX_WINDOW)
