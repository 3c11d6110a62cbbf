"""Encode all pictures of a place, in processes that each have a core of their own."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context

from diffc_stream.bulk.manifest import Line, Manifest
from diffc_stream.bulk.places import Found, place
from diffc_stream.bulk.worker import SUFFIX, Job, begin, work
from diffc_stream.ledger import Ledger
from diffc_stream.order import Order

AHEAD = 2
"""Pictures that wait for each worker, so that it never waits for its next one."""
_DIED = "the process that encoded it was killed, for want of memory perhaps"

Told = Callable[[str, str | None], None]
"""Is called after each picture with its name, and with what is wrong with it, if anything."""


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


def pictures(source: str, order: Order | None = None) -> Iterator[str]:
    """Yield the names of the pictures in a place, in an ``order``, by default as they are found.

    Places at URLs do not say which are the newest.  Raises OSError.
    """
    found: Iterator[Found] = place(source).files()
    if order is not None and (order.newest or order.first):
        rank, newest = order.rank, order.newest
        found = iter(sorted(found, key=lambda one: (rank(one.name), -one.time if newest else 0)))
    return (one.name for one in found if not one.name.endswith(SUFFIX))


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

    A picture that cannot be used, or whose worker dies of it, is in the manifest with its error,
    and the others go on.  Raises DestinationError, AddressError, MissingPackage or OSError if a
    place cannot be used at all.
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


class _Encoding:
    """The pictures that are being encoded, and those that come next."""

    def __init__(
        self, job: Job, workers: int, told: Told, order: Order | None, ledger: Ledger | None
    ) -> None:
        self.summary = Summary()
        self._job = job
        self._workers = workers
        self._told = told
        self._manifest = Manifest(place(job.destination, make=True))
        self._names = pictures(job.source, order)
        self._accounts = _Accounts(ledger, job.settings.bytes)
        self._flight: dict[Future[Line | None], str] = {}
        self._suspects: deque[str] = deque()
        """Pictures that were in flight when a worker died, to be tried again one by one."""
        self._alone = False
        """Whether a suspect is in flight."""
        self._waiting: str | None = None
        """A picture for which the budget has no room until one in flight has cost less."""
        self._pool = _pool(job, workers)

    def begin(self) -> bool:
        """Start as many pictures as may be in flight; return False if there are none."""
        self._alone = bool(self._suspects)
        most = 1 if self._alone else AHEAD * self._workers
        while len(self._flight) < most:
            name = self._next()
            if name is None:
                break
            self._flight[self._pool.submit(work, name, self._manifest.done(name))] = name
        self.summary.spent = self._waiting is not None and not self._flight
        return bool(self._flight)

    def _next(self) -> str | None:
        """Return the next picture; None if there is none now."""
        if self._alone:
            return self._suspects.popleft()
        name, self._waiting = self._waiting or next(self._names, None), None
        if name is not None and not self._accounts.begin(name):
            self._waiting, name = name, None
        return name

    def end(self) -> None:
        """Wait until a picture is done, or its worker has died; note what came of it."""
        finished, _ = wait(self._flight, return_when=FIRST_COMPLETED)
        broken = False
        for future in finished:
            name = self._flight.pop(future)
            try:
                line = future.result()
            except BrokenProcessPool:
                broken = True
                if not self._alone:
                    self._suspects.append(name)
                    continue
                line = Line(name=name, source="", settings="", error=_DIED)
            self._accounts.end(name, line)
            _count(self.summary, self._manifest, line)
            self._told(name, line.error if line is not None else None)
        if broken:
            self._suspects.extend(self._flight.values())
            self._flight.clear()
            self._pool.shutdown(cancel_futures=True)
            self._pool = _pool(self._job, self._workers)

    def close(self) -> None:
        """End the processes, and save what is known."""
        self._pool.shutdown(cancel_futures=True)
        self._manifest.flush()
        self._accounts.close()


def _pool(job: Job, workers: int) -> ProcessPoolExecutor:
    # Not forked: threads of this process and its libraries would be missing in the child.
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=begin, initargs=(job,))


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
