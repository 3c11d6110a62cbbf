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
from diffc_stream.bulk.places import place
from diffc_stream.bulk.worker import SUFFIX, Job, begin, work

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
    seconds: float = 0.0


def pictures(source: str) -> Iterator[str]:
    """Yield the names of the pictures in a place, as they are found.  Raises OSError."""
    return (found.name for found in place(source).files() if not found.name.endswith(SUFFIX))


def run(job: Job, *, workers: int, told: Told = lambda _name, _wrong: None) -> Summary:
    """Encode all pictures that have not been; return a summary.

    A picture that cannot be used, or whose worker dies of it, is in the manifest with its error,
    and the others go on.  Raises DestinationError, AddressError, MissingPackage or OSError if a
    place cannot be used at all.
    """
    began = time.monotonic()
    manifest = Manifest(place(job.destination, make=True))
    summary = Summary()
    names = pictures(job.source)
    flight: dict[Future[Line | None], str] = {}
    suspects: deque[str] = deque()
    pool = _pool(job, workers)
    try:
        while True:
            # Pictures that were in flight when a worker died are tried again one by one.
            most = 1 if suspects else AHEAD * workers
            alone = bool(suspects)
            while len(flight) < most:
                name = suspects.popleft() if alone else next(names, None)
                if name is None:
                    break
                flight[pool.submit(work, name, manifest.done(name))] = name
            if not flight:
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
