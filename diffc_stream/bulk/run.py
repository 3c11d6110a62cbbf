"""Encode all pictures of a place, in processes that each have a core of their own."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context

from diffc_stream.budget import rank
from diffc_stream.bulk.manifest import Line, Manifest
from diffc_stream.bulk.places import Found, place
from diffc_stream.bulk.worker import SUFFIX, Job, begin, work
from diffc_stream.ledger import Ledger

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Which pictures come first; by default they come as they are found, by name."""

    newest: bool = False
    """Whether the last changed come first; places at URLs do not say when that was."""
    first: tuple[str, ...] = ()
    """Patterns of names that come before all others, the most important first."""


def pictures(source: str, order: Order | None = None) -> Iterator[str]:
    """Yield the names of the pictures in a place, in an ``order``.  Raises OSError."""
    found: Iterator[Found] = place(source).files()
    if order is not None and (order.newest or order.first):
        newest, first = order.newest, order.first
        found = iter(
            sorted(found, key=lambda one: (rank(one.name, first), -one.time if newest else 0))
        )
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
    manifest = Manifest(place(job.destination, make=True))
    summary = Summary()
    names = pictures(job.source, order)
    accounts = _Accounts(ledger, job.settings.bytes)
    flight: dict[Future[Line | None], str] = {}
    suspects: deque[str] = deque()
    waiting: str | None = None
    pool = _pool(job, workers)
    try:
        while True:
            # Pictures that were in flight when a worker died are tried again one by one.
            most = 1 if suspects else AHEAD * workers
            alone = bool(suspects)
            while len(flight) < most:
                name = suspects.popleft() if alone else waiting or next(names, None)
                waiting = None
                if name is None:
                    break
                if not alone and not accounts.begin(name):
                    waiting = name  # until one in flight has cost less than was reserved for it
                    break
                flight[pool.submit(work, name, manifest.done(name))] = name
            if not flight:
                summary.spent = waiting is not None
                break
            finished, _ = wait(flight, return_when=FIRST_COMPLETED)
            broken = False
            for future in finished:
                name = flight.pop(future)
                try:
                    line = future.result()
                except BrokenProcessPool:
                    broken = True
                    if not alone:
                        suspects.append(name)
                        continue
                    line = Line(name=name, source="", settings="", error=_DIED)
                accounts.end(name, line)
                _count(summary, manifest, line)
                told(name, line.error if line is not None else None)
            if broken:
                suspects.extend(flight.values())
                flight.clear()
                pool.shutdown(cancel_futures=True)
                pool = _pool(job, workers)
    finally:
        pool.shutdown(cancel_futures=True)
        manifest.flush()
        accounts.close()
    summary.seconds = time.monotonic() - began
    return summary


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
