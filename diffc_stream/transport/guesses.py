"""Limit guesses: how many wrong tokens an address may show, and how fast."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from .bucket import Bucket
from .exposure import neighbourhood

GUESSES = 10
"""Wrong tokens that an address may show at once."""
GUESSING = 6.0
"""Seconds after which it may show another one."""
MOST_ADDRESSES = 4096
"""Addresses that are remembered; those unused for longest are forgotten first."""


def allowance(now: float) -> Bucket:
    """Return the bucket of guesses for one address, full at the time ``now``."""
    return Bucket(1 / GUESSING, GUESSES, now)


class Guesses:
    """Counts wrong tokens by address, with IPv6 by the first 64 bits.  For one thread only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Measure time by ``clock``, which returns seconds."""
        self._clock = clock
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def count(self, address: str) -> float:
        """Count a wrong token from ``address``.

        Returns 0, or, if it was one too many, the seconds after which it may show another one.
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
