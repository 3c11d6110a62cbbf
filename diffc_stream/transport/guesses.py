"""Tokens that nobody has: how many may be shown from an address, and how fast."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from .bucket import Bucket
from .exposure import neighbourhood

GUESSES = 10
"""At once."""
GUESSING = 6.0
"""Seconds until another one may be shown."""
MOST_ADDRESSES = 4096
"""That are remembered; those from which nothing was shown for longest are forgotten first."""


def allowance(now: float) -> Bucket:
    """Return what one address may show from ``now`` on."""
    return Bucket(1 / GUESSING, GUESSES, now)


class Guesses:
    """Counts by address, of IPv6 by the first 64 bits; used on one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Count by ``clock``, which gives seconds."""
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def count(self, address: str) -> float:
        """Take note of a token that nobody has.

        Return 0, or in how many seconds another one may be shown: then this one was too many.
        """
        now, place = self._clock(), neighbourhood(address)
        bucket = self._buckets.setdefault(place, allowance(now))
        self._buckets.move_to_end(place)
        while len(self._buckets) > MOST_ADDRESSES:
            self._buckets.popitem(last=False)
        wait = bucket.wait(now, 1)
        if not wait:
            bucket.take(1)
        return wait
