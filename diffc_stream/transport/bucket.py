"""A token bucket: limits a rate on average, and allows bursts after a rest."""

from __future__ import annotations


class Bucket:
    """Fills at ``rate`` a second up to ``capacity``, and starts full.

    As long as the level is above 0, any amount may be taken, and the next taker waits until the
    debt is filled up again.  So no amount is ever too large, and the average still holds.
    """

    __slots__ = ("_capacity", "_level", "_rate", "_seen")

    def __init__(self, rate: float, capacity: float, now: float) -> None:
        """Start full at the time ``now``; ``rate`` and ``capacity`` are above 0."""
        self._rate = rate
        self._capacity = self._level = capacity
        self._seen = now

    def level(self, now: float) -> float:
        """Return the level; it is below 0 if more was taken than there was."""
        elapsed = max(0.0, now - self._seen)
        self._level = min(self._capacity, self._level + elapsed * self._rate)
        self._seen = max(now, self._seen)
        return self._level

    def take(self, amount: float) -> None:
        """Take ``amount``, even if the level falls below 0."""
        self._level -= amount

    def wait(self, now: float, amount: float = 0.0) -> float:
        """Return the seconds until anything may be taken, or all of ``amount``; 0 means now."""
        level = self.level(now)
        if level >= amount and level > 0:
            return 0.0
        # Without an amount, wait for a little more than 0: at exactly 0 nothing may be taken.
        least = min(amount or 1.0, self._capacity if amount else self._capacity / 2)
        return max(0.0, least - level) / self._rate

    def full(self, now: float) -> bool:
        """Tell whether nothing is missing: it might as well be a new one."""
        return self.level(now) >= self._capacity

    def resized(self, rate: float, capacity: float, now: float) -> Bucket:
        """Return one of another rate and capacity in which as much is missing."""
        other = Bucket(rate, capacity, now)
        other.take(self._capacity - self.level(now))
        return other


def limited(held: Bucket | None, rate: float, capacity: float, now: float) -> Bucket | None:
    """Return the bucket of a limit, with what is missing in ``held``; None for a rate of 0."""
    if not rate:
        return None
    return held.resized(rate, capacity, now) if held else Bucket(rate, capacity, now)


def longest_wait(buckets: tuple[Bucket, ...], now: float, amount: float = 0.0) -> float:
    """Return the seconds until anything, or ``amount``, may be taken from all buckets."""
    return max((bucket.wait(now, amount) for bucket in buckets), default=0.0)
