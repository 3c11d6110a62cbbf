"""Budgets of bytes by hour, day and month of the calendar, and windows of the day, as arithmetic.

Times are seconds since 1970.  Hours, days, months and times of day are those of a time zone, by
default this machine's, summer time included.  Nothing here looks at a clock or a disk; see
:mod:`.ledger`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo

PERIODS = ("hour", "day", "month")
DAY = 24 * 60
"""Minutes."""
_AHEAD = 8
"""Days that are looked at for the next time a window opens or closes: summer time may skip one."""
_MOST_TURNS = 10_000
_WINDOW = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-4]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class Window:
    """A part of every day, in minutes from midnight; it crosses midnight if it ends before it
    starts."""

    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Window:
        """Parse ``HH:MM-HH:MM``.  Raises ValueError, with a line for users."""
        found = _WINDOW.fullmatch(text)
        numbers = [int(part) for part in found.groups()] if found else [0, 0, 0, 0]
        window = cls(60 * numbers[0] + numbers[1], 60 * numbers[2] + numbers[3])
        if found is None or window.end > DAY or window.start == window.end:
            raise ValueError(f"{text!r} is not HH:MM-HH:MM, like 22:00-06:00")
        return window

    def __contains__(self, minute: int) -> bool:
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def __str__(self) -> str:
        start, end = (f"{at // 60:02}:{at % 60:02}" for at in (self.start, self.end))
        return f"{start}-{end}"


def moment(seconds: float) -> str:
    """Return a time, in seconds since 1970, as local time in words."""
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M}"


@dataclass(slots=True)
class Spending:
    """What has been spent in the last period of each length: when that began, and how many bytes.

    A clock that is set back does not begin a new period: what was spent counts in the earlier one.
    """

    periods: dict[str, tuple[float, int]] = field(default_factory=dict)

    def of(self, period: str, start: float) -> int:
        """Return what has been spent in the ``period`` that began at ``start``."""
        began, spent = self.periods.get(period, (start, 0))
        return spent if began >= start else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How many bytes may be spent in each hour, day and month, and when.  None is no limit."""

    hour: int | None = None
    day: int | None = None
    month: int | None = None
    windows: tuple[Window, ...] = ()
    """Times of day; none is always."""
    zone: tzinfo | None = None
    """None is this machine's."""

    @property
    def unlimited(self) -> bool:
        """Whether it limits nothing."""
        return not self.windows and not any(True for _ in self._limits())

    @property
    def smallest(self) -> int | None:
        """The smallest limit, in bytes; None if there is none."""
        return min((limit for _, limit in self._limits()), default=None)

    def start(self, period: str, now: float) -> float:
        """Return when the hour, day or month at ``now`` began."""
        moment = datetime.fromtimestamp(now, self.zone).replace(minute=0, second=0, microsecond=0)
        if period == "hour":
            return moment.timestamp()
        moment = moment.replace(hour=0, fold=0)
        return (moment if period == "day" else moment.replace(day=1)).timestamp()

    def end(self, period: str, now: float) -> float:
        """Return when the hour, day or month at ``now`` ends; that is after ``now``."""
        start = self.start(period, now)
        if period == "hour":
            return max(start + 3600.0, now + 1.0)
        moment = datetime.fromtimestamp(start, self.zone)
        moment = moment + timedelta(days=1 if period == "day" else 32)
        moment = moment.replace(hour=0, fold=0)
        return (moment if period == "day" else moment.replace(day=1)).timestamp()

    def spend(self, spending: Spending, size: int, now: float) -> None:
        """Add ``size`` bytes, which may be below 0, to what has been spent."""
        for period in PERIODS:
            start = self.start(period, now)
            spending.periods[period] = (start, max(0, spending.of(period, start) + size))

    def room(self, spending: Spending, now: float) -> int | None:
        """Return how many bytes may be spent now, at least 0; None is any number."""
        if not self.is_open(now):
            return 0
        rooms = [
            limit - spending.of(period, self.start(period, now)) for period, limit in self._limits()
        ]
        return max(0, min(rooms)) if rooms else None

    def opens(self, spending: Spending, now: float) -> float:
        """Return when anything may be spent, if nothing is meanwhile; ``now`` if it may already."""
        for _ in range(_MOST_TURNS):
            if not self.is_open(now):
                now = self._turn(now, opening=True)
                continue
            ends = [
                self.end(period, now)
                for period, limit in self._limits()
                if spending.of(period, self.start(period, now)) >= limit
            ]
            if not ends:
                return now
            now = max(ends)
        return now

    def reaches(self, spending: Spending, sizes: list[int], now: float) -> Iterator[float | None]:
        """Yield when each of ``sizes`` could be spent, one after the other, over an endless link.

        None is beyond what is computed, which is years.  ``spending`` stays as it is.
        """
        spent = Spending(dict(spending.periods))
        turns = 0
        for size in sizes:
            left = size
            while turns < _MOST_TURNS:
                turns += 1
                now = self.opens(spent, now)
                room = self.room(spent, now)
                part = left if room is None else min(left, room)
                self.spend(spent, part, now)
                left -= part
                if not left:
                    break
            yield now if not left else None

    def is_open(self, now: float) -> bool:
        """Tell whether ``now`` is within a window."""
        moment = datetime.fromtimestamp(now, self.zone)
        minute = 60 * moment.hour + moment.minute
        return not self.windows or any(minute in window for window in self.windows)

    def closes(self, now: float) -> float | None:
        """Return when the windows that are open now have all closed; None is never."""
        if not self.is_open(now):
            return now
        end = self._turn(now, opening=False)
        return end if end > now else None

    def _turn(self, now: float, *, opening: bool) -> float:
        """Return when the windows next open or close after ``now``; ``now`` if they do not."""
        today = datetime.fromtimestamp(now, self.zone).replace(
            hour=0, minute=0, second=0, microsecond=0, fold=0
        )
        for ahead in range(_AHEAD):
            day = today + timedelta(days=ahead)
            minutes = {window.start if opening else window.end for window in self.windows}
            times = sorted((day + timedelta(minutes=minute)).timestamp() for minute in minutes)
            for time in times:
                if time > now and self.is_open(time) is opening:
                    return time
        return now

    def _limits(self) -> Iterator[tuple[str, int]]:
        for period in PERIODS:
            limit: int | None = getattr(self, period)
            if limit is not None:
                yield period, limit

    def __str__(self) -> str:
        limits = [f"{limit:,} bytes a {period}" for period, limit in self._limits()]
        return ", ".join([*limits, *map(str, self.windows)]) or "no limits"
