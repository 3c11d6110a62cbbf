"""Which picture of many goes on next, and how far: first bytes of all before last bytes of any.

Round by round every picture gets four times what it had, beginning with FIRST bytes; within a
round the newest comes first.
"""

from __future__ import annotations

import heapq
from collections import Counter

FIRST = 256
"""Bytes: the first frame of a stream, and a picture."""
MOST_STALE = 1000
"""Places in the queue of pictures that do not wait there any more, beyond one for each."""


def round_of(held: int) -> int:
    """Return the round in which a picture is that has ``held`` bytes; the first one is 0."""
    number = 0
    while end_of(number) <= held:
        number += 1
    return number


def end_of(number: int) -> int:
    """Return the bytes that a picture has after a round."""
    return FIRST << (2 * number)


class TransferScheduler:
    """The pictures that wait."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str]] = []
        self._waiting: dict[str, tuple[int, int, str]] = {}
        self._sizes: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, name: str, *, held: int, time: int) -> None:
        """Have a picture wait that has ``held`` bytes and was changed at ``time``, in seconds."""
        self.discard(name)
        place = (round_of(held), -time, name)
        self._waiting[name] = place
        self._sizes[place[0]] += 1
        heapq.heappush(self._heap, place)
        if len(self._heap) > 2 * len(self._waiting) + MOST_STALE:
            # A sender may say for ever that a picture is another by now.
            self._heap = sorted(self._waiting.values())

    def discard(self, name: str) -> None:
        """Have a picture wait no more."""
        place = self._waiting.pop(name, None)
        if place is not None:
            self._sizes[place[0]] -= 1

    def take(self) -> str | None:
        """Return the picture whose turn it is, which waits no more; None if none does."""
        while self._heap:
            place = heapq.heappop(self._heap)
            if self._waiting.get(place[2]) == place:
                self.discard(place[2])
                return place[2]
        return None

    def before(self, number: int) -> int:
        """Return how many wait that are in earlier rounds."""
        return sum(size for earlier, size in self._sizes.items() if earlier < number)
