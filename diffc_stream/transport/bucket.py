"""A token bucket: so much a second on average, and so much at once after a rest."""

from __future__ import annotations


class Bucket:
    """Fills at ``rate`` a second up to ``capacity``, and starts full.

    As long as anything is in it, any amount may be taken: what is then missing is waited for before
    the next time.  So nothing is ever too large for it, and the average holds all the same.
    """

    __slots__ = ("_capacity", "_level", "_rate", "_seen")

    def __init__(self, rate: float, capacity: float, now: float) -> None:
        """Start full at ``now``; both are above 0."""
        self._rate = rate
        self._capacity = self._level = capacity
        self._seen = now

    def level(self, now: float) -> float:
        """Return what is in it, less than 0 if more was taken than there was."""
        elapsed = max(0.0, now - self._seen)
        self._level = min(self._capacity, self._level + elapsed * self._rate)
        self._seen = max(now, self._seen)
        return self._level

    def take(self, amount: float) -> None:
        """Take so much, be it there or not."""
        self._level -= amount

    def wait(self, now: float, amount: float = 0.0) -> float:
        """Return the seconds until something may be taken, or all of ``amount``; 0: now."""
        level = self.level(now)
        if level >= amount and level > 0:
            return 0.0
        # Of nothing in particular a little: at 0 exactly there is still nothing.
        least = min(amount or 1.0, self._capacity if amount else self._capacity / 2)
        return max(0.0, least - level) / self._rate

    def full(self, now: float) -> bool:
        """Tell whether nothing is missing: it might as well be a new one."""
        return self.level(now) >= self._capacity


def longest_wait(buckets: tuple[Bucket, ...], now: float, amount: float = 0.0) -> float:
    """Return the seconds until something, or ``amount``, may be taken of all of them."""
    return max((bucket.wait(now, amount) for bucket in buckets), default=0.0)
