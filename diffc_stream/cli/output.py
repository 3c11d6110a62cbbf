"""Print results, and show progress."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from diffc_stream.destination import is_standard
from diffc_stream.work import watched


def print_json(facts: object) -> None:
    """Print ``facts`` as one line of JSON, with null for infinity and NaN."""
    print(json.dumps(_finite(facts), allow_nan=False))


def reporting(path: Path) -> AbstractContextManager[object]:
    """Print to stderr within the block if the output ``path`` is standard output."""
    return redirect_stdout(sys.stderr) if is_standard(path) else nullcontext()


def _finite(value: object) -> object:
    # An exact copy has an infinite PSNR.
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _finite(entry) for key, entry in value.items()}
        case list():
            return [_finite(entry) for entry in value]
    return value


class Advance:
    """Moves a progress bar, and says beside it what is being done.

    :meth:`working` is a :data:`~diffc_stream.work.Watcher`.
    """

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def __call__(self, completed: int, note: str) -> None:
        self._progress.update(self._task, completed=completed, note=note)

    def towards(self, total: int | None) -> None:
        """Set the number of bytes at which the bar is full; None shows movement only."""
        self._progress.update(self._task, total=total)

    def working(self, what: str, share: float | None = None) -> None:
        """Show what is being done, and which share of it is done."""
        self._progress.update(
            self._task, work=what if share is None else f"{what} {100 * share:.0f} %"
        )


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator[Advance]:
    """Show a progress bar of ``total`` bytes on stderr while the block runs, if on a terminal.

    Work in the block that takes long (:mod:`diffc_stream.work`) is shown beside it.
    """
    columns = (
        SpinnerColumn(),
        TextColumn(title),
        BarColumn(),
        TextColumn("{task.completed} bytes  {task.fields[note]}"),
        TextColumn("{task.fields[work]}"),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        advance = Advance(bar, bar.add_task(title, total=total, note="", work="starting"))
        with watched(advance.working):
            yield advance
