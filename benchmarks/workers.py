"""Work on many pictures at once, in processes of their own."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from diffc_stream.threads import limit

Task = TypeVar("Task")
Result = TypeVar("Result")


def spread(
    title: str,
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    *,
    jobs: int,
    threads: int,
) -> list[Result]:
    """Return ``function`` of every task, in order, showing progress on stderr.

    With more than one job, in as many processes of ``threads`` threads each.
    """
    columns = (
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=len(tasks))
        if jobs == 1 or len(tasks) < 2:
            results = []
            for entry in tasks:
                results.append(function(entry))
                progress.advance(task)
            return results
        # Spawned, because threads that a denoiser or an encoder has started do not survive a fork.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, context, initializer=_use, initargs=(threads,)) as pool:
            with _deaf():
                futures = [pool.submit(function, entry) for entry in tasks]
            return _gathered(futures, lambda: progress.advance(task))


@contextmanager
def _deaf() -> Iterator[None]:
    """Have processes that are started in here ignore Ctrl-C: whoever waits for them ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _gathered(futures: Iterable[Future[Result]], advance: Callable[[], None]) -> list[Result]:
    futures = list(futures)
    try:
        for future in as_completed(futures):
            future.result()
            advance()
    except KeyboardInterrupt:
        # The pool would wait for them.  It fails what is left by itself, and trips over what was
        # cancelled.
        for child in multiprocessing.active_children():
            child.kill()
        raise
    except BaseException:
        for future in futures:
            future.cancel()
        raise
    return [future.result() for future in futures]


def _use(threads: int) -> None:
    limit(threads)
