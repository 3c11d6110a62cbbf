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
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

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


class PicturesAdvance:
    """Counts pictures that are done, and prints what is wrong with some of them on stderr."""

    def __init__(self, progress: Progress, task: TaskID, console: Console) -> None:
        self._progress, self._task, self._console = progress, task, console

    def __call__(self, name: str, wrong: str | None) -> None:
        """Count one more, and print what is wrong with it, if anything, above the bar."""
        if wrong is not None:
            self._say(f"{name}: {wrong}")
        self._progress.advance(self._task)

    def _say(self, line: str) -> None:
        if self._console.is_terminal:
            self._progress.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(f"diffc: {line}", file=sys.stderr)


class _Rate(TextColumn):
    """Pictures a minute."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{60 * speed:,.1f} a minute")


@contextmanager
def pictures_progress(title: str, total: int) -> Iterator[PicturesAdvance]:
    """Show a progress bar of ``total`` pictures on stderr while the block runs, if on a terminal.

    It shows their rate, and the time left.
    """
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        speed_estimate_period=600,
    ) as bar:
        yield PicturesAdvance(bar, bar.add_task(title, total=total), console)
