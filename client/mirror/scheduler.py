"""Decides which picture a mirror receives next: the first bytes of all before the last of any.

In the first round every picture gets FIRST bytes, in each later one four times what it has; within
a round the newest comes first.  Or there are no rounds, and the newest comes first in all.  Either
way, pictures that are named as more important come before all others.
"""

from __future__ import annotations

import heapq
from collections import Counter

from diffc_stream.order import Order

FIRST = 256
"""Bytes: the first frame of a stream, enough for a first picture."""
MOST_STALE = 1000
"""Outdated entries of the queue, beyond one for each picture, after which it is rebuilt."""


def round_of(held: int) -> int:
    """Return the round of a picture with ``held`` bytes; the first is 0."""
    number = 0
    while end_of(number) <= held:
        number += 1
    return number


def end_of(number: int) -> int:
    """Return the bytes of a picture at the end of a round."""
    return FIRST << (2 * number)


Group = tuple[int, int]
"""Pictures of a lesser group come first."""


def group_of(order: Order, name: str, held: int) -> Group:
    """Return the group of a picture with ``held`` bytes."""
    return order.rank(name), 0 if order.newest else round_of(held)


class TransferScheduler:
    """The queue of waiting pictures."""

    def __init__(self, order: Order | None = None) -> None:
        self.order = order or Order()
        self._heap: list[tuple[Group, int, str]] = []
        self._waiting: dict[str, tuple[Group, int, str]] = {}
        self._sizes: Counter[Group] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, name: str, *, held: int, time: int) -> None:
        """Queue a picture that has ``held`` bytes and was changed at ``time``, in seconds."""
        self.discard(name)
        place = (group_of(self.order, name, held), -time, name)
        self._waiting[name] = place
        self._sizes[place[0]] += 1
        heapq.heappush(self._heap, place)
        if len(self._heap) > 2 * len(self._waiting) + MOST_STALE:
            # A sender that keeps changing a picture must not fill the heap.
            self._heap = sorted(self._waiting.values())

    def discard(self, name: str) -> None:
        """Take a picture off the queue."""
        place = self._waiting.pop(name, None)
        if place is not None:
            self._sizes[place[0]] -= 1

    def take(self) -> str | None:
        """Take the next picture off the queue; None if it is empty."""
        while self._heap:
            place = heapq.heappop(self._heap)
            if self._waiting.get(place[2]) == place:
                self.discard(place[2])
                return place[2]
        return None

    def before(self, group: Group) -> int:
        """Return how many pictures of lesser groups wait."""
        return sum(size for earlier, size in self._sizes.items() if earlier < group)
