"""What has been spent of a budget, kept in a small file, so that a restart does not begin anew.

The file always says a little more than has been spent: a process that is killed costs one percent
of the smallest limit, and never spends twice.  A file that cannot be read is set aside, and the
present hour, day and month count as used up, because nobody knows what was spent.

Several processes may share a file.  Whenever one writes it, it adds what it has spent itself to
what the file says by then, so each learns what the others have spent a little late.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from diffc_stream.budget import PERIODS, Budget, Spending
from diffc_stream.replacement import replacing

FORMAT = 1
MOST_BYTES = 4096
"""Bytes of a file that are read."""
SHARE = 100
"""The file is this part of the smallest limit ahead of what has been spent."""
USUAL = 65_536
"""... or so many bytes, if only times are limited."""
LOOK_AGAIN = 60.0
"""Seconds after which those who wait look at the clock again, which may be set meanwhile."""

logger = logging.getLogger(__name__)


class Notes(Protocol):
    """Where the state is kept."""

    def read(self) -> bytes | None:
        """Return what was written last; None if nothing was.  Raises OSError."""
        ...

    def write(self, data: bytes) -> None:
        """Replace it.  Raises OSError."""
        ...

    def set_aside(self) -> str:
        """Keep what cannot be used under another name, and return that.  Raises OSError."""
        ...


class NotesFile:
    """A file that is replaced as a whole, and survives a power cut."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Keep the state in the file ``path``; if ``read_only``, change nothing."""
        self._path = path
        self._read_only = read_only

    def read(self) -> bytes | None:
        """Return its bytes, if there is one.  Raises OSError."""
        try:
            with self._path.open("rb") as file:
                return file.read(MOST_BYTES + 1)
        except FileNotFoundError:
            return None

    def write(self, data: bytes) -> None:
        """Replace it.  Raises OSError."""
        if self._read_only:
            return
        with replacing(self._path) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def set_aside(self) -> str:
        """Rename it, and return its new name.  Raises OSError."""
        for number in range(1, 1 if self._read_only else 100):
            name = self._path.with_name(f"{self._path.name}.damaged-{number}")
            if not name.exists():
                self._path.rename(name)
                return str(name)
        return str(self._path)


class Ledger:
    """What has been spent and reserved of a budget.  Thread-safe; files are touched where said."""

    def __init__(
        self, budget: Budget, notes: Notes, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Read what was spent before.  Raises OSError if that can be neither read nor set aside.

        ``clock`` returns seconds since 1970.
        """
        self.budget = budget
        self._notes = notes
        self._clock = clock
        self._guard = threading.Lock()
        self._saving = threading.Lock()
        limits = [limit for limit in (budget.hour, budget.day, budget.month) if limit is not None]
        self._ahead = max(2, min(limits, default=SHARE * USUAL) // SHARE)
        self._reserved = 0
        self._used = 0
        """Bytes spent by this process."""
        self._noted = 0
        """How many spent and reserved bytes the file covers."""
        self._complained = False
        self.spending = self._read()
        self._written = Spending(dict(self.spending.periods))
        """What the file said when it was last read or written."""

    def room(self) -> int | None:
        """Return how many bytes may be spent or reserved now; None is any number."""
        with self._guard:
            room = self.budget.room(self.spending, self._clock())
            return None if room is None else max(0, room - self._reserved)

    def wait(self, size: int = 1) -> float:
        """Return the seconds until ``size`` bytes, or whatever a new period allows, may be spent.

        0 is now.
        """
        with self._guard:
            now = self._clock()
            room = self.budget.room(self.spending, now)
            if room is None or room - self._reserved >= size:
                return 0.0
            if self._reserved:
                return 1.0  # some may be given back
            spent = Spending(dict(self.spending.periods))
            self.budget.spend(spent, room, now)
            return max(1.0, self.budget.opens(spent, now) - now)

    @property
    def open(self) -> bool:
        """Whether anything may be spent now, or has been reserved within a window."""
        with self._guard:
            now = self._clock()
            room = self.budget.room(self.spending, now)
            return room is None or room > 0 or (self._reserved > 0 and self.budget.is_open(now))

    @property
    def closed(self) -> bool:
        """Whether no window is open."""
        return not self.budget.is_open(self._clock())

    def turn(self) -> float | None:
        """Return the seconds until something may be spent, or until nothing may be; None is never.

        It may be sooner, if more is spent or given back.
        """
        wait = self.wait()
        if wait:
            return wait
        now = self._clock()
        closes = self.budget.closes(now)
        return None if closes is None else max(1.0, closes - now)

    def reserve(self, size: int) -> int:
        """Reserve up to ``size`` bytes; return how many, maybe 0.  Then :meth:`save` if due."""
        with self._guard:
            room = self.budget.room(self.spending, self._clock())
            granted = size if room is None else max(0, min(size, room - self._reserved))
            self._reserved += granted
            return granted

    def settle(self, reserved: int, spent: int) -> None:
        """Give back what was ``reserved``, of which ``spent`` bytes have been spent."""
        with self._guard:
            self._reserved -= reserved
            self._used += spent
            self.budget.spend(self.spending, spent, self._clock())

    def spend(self, size: int) -> None:
        """Spend ``size`` bytes that were not reserved."""
        self.settle(0, size)

    @property
    def due(self) -> bool:
        """Whether the file should be written before more is spent."""
        with self._guard:
            return self._now() > self._noted - self._ahead // 2

    def save(self, *, last: bool = False) -> None:
        """Write the file, if that is due; if it is the ``last`` time, exactly.  Blocks.

        What others have noted there is counted first.  If it cannot be written, that is logged
        once.
        """
        with self._saving:
            others = self._reread()
            with self._guard:
                if others is not None:
                    _count(self.spending, others, self._written)
                    self._written = others
                ahead = 0 if last else self._ahead
                wanted = Spending(dict(self.spending.periods))
                self.budget.spend(wanted, self._reserved + ahead, self._clock())
                noted = self._now() + ahead
            periods = {name: list(wanted.periods[name]) for name in PERIODS}
            data = json.dumps({"format": FORMAT, "spent": periods}).encode()
            try:
                self._notes.write(data)
            except OSError as error:
                if not self._complained:
                    self._complained = True
                    logger.warning("what was spent of the budget cannot be noted: %s", error)
                return
            self._complained = False
            with self._guard:
                self._noted = noted
                self._written = wanted

    def _now(self) -> int:
        return self._used + self._reserved

    def _reread(self) -> Spending | None:
        """Return what the file says now; None if it cannot be used: it is replaced."""
        try:
            data = self._notes.read()
            return None if data is None else _parsed(data)
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None

    def _read(self) -> Spending:
        """Read the file; what cannot be used is set aside, and then all counts as spent."""
        try:
            data = self._notes.read()
            return Spending() if data is None else _parsed(data)
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            reason = " ".join(str(error).split())[:200]
        aside, now = self._notes.set_aside(), self._clock()
        logger.warning(
            "what was spent of the budget cannot be read: %s; it is kept as %s, and this hour, day "
            "and month count as used up",
            reason,
            aside,
        )
        limits = {period: getattr(self.budget, period) or 0 for period in PERIODS}
        starts = {period: self.budget.start(period, now) for period in PERIODS}
        return Spending({period: (starts[period], limits[period]) for period in PERIODS})


def _count(spending: Spending, found: Spending, before: Spending) -> None:
    """Count in ``spending`` what others have added to a file that said ``before``."""
    for name, (start, spent) in found.periods.items():
        began, known = before.periods.get(name, (start, 0))
        more = spent - known if began == start else spent if began < start else 0
        mine, own = spending.periods.get(name, (start, 0))
        if more and mine <= start:
            own = own if mine == start else 0
            # It may be less: who ends gives back what was written ahead.
            spending.periods[name] = (start, max(0, own + more))


def _parsed(data: bytes) -> Spending:
    """Parse a file.  Raises ValueError, TypeError, KeyError or RecursionError."""
    if len(data) > MOST_BYTES:
        raise ValueError("it is too long")
    read = json.loads(data)
    if read["format"] != FORMAT:
        raise ValueError(f"it is of format {read['format']!r}")
    periods = {}
    for name in PERIODS:
        start, spent = read["spent"][name]
        if isinstance(spent, bool) or not isinstance(spent, int) or not 0 <= spent < 2**63:
            raise ValueError(f"{spent!r} is not a number of bytes")
        if not isinstance(start, int | float) or not 0 <= start < 2**40:
            raise ValueError(f"{start!r} is not a time")
        periods[name] = (float(start), spent)
    return Spending(periods)
