"""Encode all pictures of a place, in processes that each have a core of their own.

Pictures of a fixed camera may start from those before.  So what is given to a process is a whole
period, from one key picture to the next, and the streams do not depend on how many processes there
are.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context

from diffc_stream.bulk.manifest import Line, Manifest
from diffc_stream.bulk.periods import ordered, periods
from diffc_stream.bulk.places import Found, place
from diffc_stream.bulk.worker import Job, begin, work
from diffc_stream.container.grammar import STREAM_SUFFIX
from diffc_stream.ledger import Ledger
from diffc_stream.order import Order

AHEAD = 2
"""Pictures that wait for each worker, so that it never waits for its next one."""
_DIED = "the process that encoded it was killed, for want of memory perhaps"

Told = Callable[[str, str | None], None]
"""Is called after each picture with its name, and with what is wrong with it, if anything."""
LeftOut = Callable[[Found], None]
"""Is called with each file or folder that cannot be used."""


@dataclass(slots=True, kw_only=True)
class Summary:
    """What a run did."""

    encoded: int = 0
    skipped: int = 0
    """Pictures whose streams were there already, whole."""
    failed: int = 0
    bytes: int = 0
    """Of the streams that were encoded."""
    spent: bool = False
    """Whether it ended because the budget allows no more for now."""
    seconds: float = 0.0


def pictures(
    source: str, order: Order | None = None, left_out: LeftOut = lambda _found: None
) -> Iterator[str]:
    """Yield the names of the pictures in a place, in an ``order``, by default as they are found.

    Places at URLs do not say which are the newest.  Raises OSError.
    """
    found: Iterator[Found] = place(source).files()
    if order is not None and (order.newest or order.first):
        rank, newest = order.rank, order.newest
        found = iter(sorted(found, key=lambda one: (rank(one.name), -one.time if newest else 0)))
    return (one.name for one in _usable(found, left_out))


def _usable(found: Iterator[Found], left_out: LeftOut) -> Iterator[Found]:
    """Yield the pictures among files, without those that cannot be used."""
    for one in found:
        if one.name.endswith(STREAM_SUFFIX):
            continue
        if one.wrong:
            left_out(one)
        else:
            yield one


class _Accounts:
    """What the pictures in flight may cost, of a ledger."""

    def __init__(self, ledger: Ledger | None, most: int | None) -> None:
        """Reserve ``most`` bytes for each; None is one byte, because its size is not known."""
        self._ledger = ledger
        self._most = most or 1
        self._reserved: dict[str, int] = {}

    def begin(self, name: str) -> bool:
        """Reserve bytes for a picture; return False if the budget does not allow it."""
        if self._ledger is None:
            return True
        granted = self._ledger.reserve(self._most)
        if granted < self._most:
            self._ledger.settle(granted, 0)
            return False
        self._reserved[name] = granted
        self._save()
        return True

    def end(self, name: str, line: Line | None) -> None:
        """Count what a picture has cost."""
        if self._ledger is not None:
            spent = line.bytes if line is not None and line.error is None else 0
            self._ledger.settle(self._reserved.pop(name, 0), spent)
            self._save()

    def close(self) -> None:
        """Give back what was reserved, and save what was spent."""
        if self._ledger is not None:
            for reserved in self._reserved.values():
                self._ledger.settle(reserved, 0)
            self._ledger.save(last=True)

    def _save(self) -> None:
        if self._ledger is not None and self._ledger.due:
            self._ledger.save()


def run(
    job: Job,
    *,
    workers: int,
    told: Told = lambda _name, _wrong: None,
    order: Order | None = None,
    ledger: Ledger | None = None,
) -> Summary:
    """Encode all pictures that have not been, in an ``order``; return a summary.

    It ends when ``ledger`` allows no more.

    A picture that cannot be used, or whose worker dies of it, and a folder that cannot be read are
    in the manifest with their errors, and the others go on.  Raises DestinationError, AddressError,
    MissingPackage or OSError if a place cannot be used at all.
    """
    began = time.monotonic()
    encoding = _Encoding(job, workers, told, order, ledger)
    try:
        while encoding.begin():
            encoding.end()
    finally:
        encoding.close()
    encoding.summary.seconds = time.monotonic() - began
    return encoding.summary


def _periods(job: Job, order: Order | None, left_out: LeftOut) -> Iterator[tuple[str, ...]]:
    """Yield the names of the pictures that one process encodes, one after another."""
    if job.key_every is None:
        return ((name,) for name in pictures(job.source, order, left_out))
    found = _usable(place(job.source).files(), left_out)
    whole = ordered(periods(found, job.key_every), order)
    return (tuple(one.name for one in period) for period in whole)


class _Lane:
    """A process, what is in flight there, and what comes next."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._pool = _pool(job)
        self.flight: dict[Future[Line | None], str] = {}
        self.rest: deque[str] = deque()
        """The pictures of its period that have not begun."""
        self.suspects: deque[str] = deque()
        """Pictures that were in flight when the process died, to be tried again one by one."""
        self.alone = False
        """Whether a suspect is in flight."""
        self._before: list[str] = []
        """The pictures of the period that have begun, those after the last that failed."""

    def take(self, period: tuple[str, ...]) -> None:
        """Take a period, when the last has begun."""
        self.rest.extend(period)
        self._before.clear()

    def begin(self, name: str, manifest: Manifest) -> None:
        """Have a picture encoded."""
        done = manifest.done(name)
        before = () if self._job.key_every is None else (tuple(self._before),)
        try:
            future = self._pool.submit(work, name, done, *before)
        except BrokenProcessPool as error:  # It has died since, which the next look handles.
            future = Future()
            future.set_exception(error)
        self._before.append(name)
        self.flight[future] = name

    def fail(self, name: str) -> None:
        """Take note that nothing can start from a picture, nor from those before it."""
        if name in self._before:
            del self._before[: self._before.index(name) + 1]

    def revive(self, suspects: list[str]) -> None:
        """Begin another process, because one has died with these in flight."""
        self.suspects.extend([*suspects, *self.flight.values()])
        self.flight.clear()
        for name in self.suspects:
            if name in self._before:
                self._before.remove(name)
        self.close()
        self._pool = _pool(self._job)

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown(cancel_futures=True)


class _Encoding:
    """The pictures that are being encoded, and those that come next."""

    def __init__(
        self, job: Job, workers: int, told: Told, order: Order | None, ledger: Ledger | None
    ) -> None:
        self.summary = Summary()
        self._told = told
        self._manifest = Manifest(place(job.destination, make=True))
        self._periods = _periods(job, order, self._leave_out)
        self._accounts = _Accounts(ledger, job.settings.bytes)
        self._lanes = [_Lane(job) for _ in range(workers)]
        self._blocked = False
        """Whether the budget has no room for a picture, until one in flight has cost less."""

    def begin(self) -> bool:
        """Start as many pictures as may be in flight; return False if there are none."""
        self._blocked = False
        for ahead in range(AHEAD):
            for lane in self._lanes:
                if len(lane.flight) <= ahead and not lane.alone:
                    self._begin(lane)
        flying = any(lane.flight for lane in self._lanes)
        self.summary.spent = self._blocked and not flying
        return flying

    def _begin(self, lane: _Lane) -> None:
        """Start the next picture of a process, if there is one now."""
        if lane.suspects:
            if not lane.flight:
                lane.alone = True
                lane.begin(lane.suspects.popleft(), self._manifest)
            return
        if not lane.rest:
            lane.take(next(self._periods, ()))
        if lane.rest and not self._blocked:
            self._blocked = not self._accounts.begin(lane.rest[0])
            if not self._blocked:
                lane.begin(lane.rest.popleft(), self._manifest)

    def end(self) -> None:
        """Wait until a picture is done, or its worker has died; note what came of it."""
        flight = [future for lane in self._lanes for future in lane.flight]
        finished, _ = wait(flight, return_when=FIRST_COMPLETED)
        for lane in self._lanes:
            suspects = []
            # In the order in which they began.
            for future in [one for one in lane.flight if one in finished]:
                name = lane.flight.pop(future)
                try:
                    line = future.result()
                except BrokenProcessPool:
                    suspects.append(name)
                else:
                    self._note(lane, name, line)
            self._mourn(lane, suspects)
            lane.alone = lane.alone and bool(lane.flight)

    def _mourn(self, lane: _Lane, suspects: list[str]) -> None:
        """Handle the pictures whose process has died, if it has."""
        if not suspects:
            return
        if lane.alone:
            [name] = suspects
            self._note(lane, name, Line(name=name, source="", settings="", error=_DIED))
            suspects = []
        lane.revive(suspects)

    def _note(self, lane: _Lane, name: str, line: Line | None) -> None:
        if line is not None and line.error is not None:
            lane.fail(name)
        self._accounts.end(name, line)
        _count(self.summary, self._manifest, line)
        self._told(name, line.error if line is not None else None)

    def _leave_out(self, found: Found) -> None:
        """Note a file or folder that cannot be used."""
        line = Line(name=found.name, source="", settings="", error=found.wrong)
        _count(self.summary, self._manifest, line)
        self._told(found.name, found.wrong)

    def close(self) -> None:
        """End the processes, and save what is known."""
        for lane in self._lanes:
            lane.close()
        self._manifest.flush()
        self._accounts.close()


def _pool(job: Job) -> ProcessPoolExecutor:
    # Not forked: threads of this process and its libraries would be missing in the child.
    return ProcessPoolExecutor(1, get_context("spawn"), initializer=begin, initargs=(job,))


def _count(summary: Summary, manifest: Manifest, line: Line | None) -> None:
    if line is None:
        summary.skipped += 1
        return
    manifest.add(line)
    if line.error is None:
        summary.encoded += 1
        summary.bytes += line.bytes
    else:
        summary.failed += 1
