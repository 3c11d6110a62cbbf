"""Says a thing once a minute, and then how often it was not said."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

MINUTE = 60.0
MOST_KEYS = 4096
"""Things that are remembered; those that were said longest ago are forgotten first."""


class Throttle:
    """Counts what is said by what it is about, in a table of bounded size.

    Threads may not share one without a lock.
    """

    def __init__(
        self,
        *,
        window: float = MINUTE,
        keys: int = MOST_KEYS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Count over ``window`` seconds of ``clock``, for ``keys`` things at most."""
        self._window = window
        self._keys = keys
        self._clock = clock
        self._said: OrderedDict[Hashable, _Count] = OrderedDict()

    def __len__(self) -> int:
        return len(self._said)

    def due(self, key: Hashable, most: int = 1) -> int | None:
        """Tell whether ``key`` may be said now, ``most`` times in a window: None if not.

        Otherwise return how often it was not since it was said last.
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
