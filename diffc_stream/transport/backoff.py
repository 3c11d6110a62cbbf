"""Exponential back-off: how long to wait before trying again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from diffc_stream.errors import PeerError, SenderLeaving

MOST_ASKED = 600.0
"""Longest wait, in seconds, that a busy sender may ask for."""


@dataclass(slots=True, kw_only=True)
class Backoff:
    """Waits that grow from failure to failure, and are random.

    The wait before the n-th attempt in a row is drawn evenly from 0 to first * 2^n seconds, or to
    ``longest`` if that is shorter.  Because of the randomness, the receivers of a restarted sender
    do not come back all at once.
    """

    first: float = 0.5
    longest: float = 30.0
    patience: float | None = 60.0
    """Seconds without any progress after which to give up; None means never."""
    draw: Callable[[], float] = random.random
    """Returns a number from 0 to 1."""
    _failures: int = field(default=0, init=False)
    _since: float | None = field(default=None, init=False)

    def fresh(self) -> Backoff:
        """Return a new one with the same settings."""
        return Backoff(
            first=self.first, longest=self.longest, patience=self.patience, draw=self.draw
        )

    def progress(self) -> None:
        """Take note of a success: the next failure counts as the first."""
        self._failures = 0
        self._since = None

    async def pause(self, failure: Exception) -> float:
        """Wait after ``failure`` and return the seconds waited; raise it when patience ends.

        A sender that is leaving says within how many seconds its receivers should come back, and a
        busy one may say how long it will be busy at least; the wait follows that.
        """
        now = asyncio.get_running_loop().time()
        since = self._since = now if self._since is None else self._since
        delay = min(self.longest, self.first * 2.0 ** min(self._failures, 30))
        if isinstance(failure, SenderLeaving):
            delay = min(self.longest, failure.wait)
        delay *= self.draw()
        if isinstance(failure, PeerError) and failure.after is not None:
            delay += min(failure.after, MOST_ASKED)
        if self.patience is not None and now + delay - since > self.patience:
            raise failure
        self._failures += 1
        await asyncio.sleep(delay)
        return delay
