"""Say things at most once a minute, and count how often they were not said."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

MINUTE = 60.0
MOST_KEYS = 4096
"""Most things that are remembered; those said longest ago are forgotten first."""


class Throttle:
    """Counts how often each thing is said, in a table of bounded size.  Not thread-safe."""

    def __init__(
        self,
        *,
        window: float = MINUTE,
        keys: int = MOST_KEYS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Count over ``window`` seconds of ``clock``, for at most ``keys`` things."""
        self._window = window
        self._keys = keys
        self._clock = clock
        self._said: OrderedDict[Hashable, _Count] = OrderedDict()

    def __len__(self) -> int:
        return len(self._said)

    def due(self, key: Hashable, most: int = 1) -> int | None:
        """Return None if ``key`` may not be said now, because it was said ``most`` times already.

        Otherwise return how often it was suppressed since it was said last.
        """
        now = self._clock()
        count = self._said.get(key)
        if count is None:
            count = self._said[key] = _Count(now)
            if len(self._said) > self._keys:
                self._said.popitem(last=False)
        elif not 0 <= now - count.since < self._window:
            self._said.move_to_end(key)
            count.since, count.said = now, 0
        if count.said >= most:
            count.withheld += 1
            return None
        count.said += 1
        withheld, count.withheld = count.withheld, 0
        return withheld


class _Count:
    __slots__ = ("said", "since", "withheld")

    def __init__(self, now: float) -> None:
        self.since = now
        self.said = self.withheld = 0
