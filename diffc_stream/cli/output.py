"""What the commands print, and the progress they show."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


def print_json(facts: object) -> None:
    """Print ``facts`` as one line of JSON, with null for what JSON has no number for."""
    print(json.dumps(_finite(facts), allow_nan=False))


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
    """Moves a progress bar."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def __call__(self, completed: int, note: str) -> None:
        self._progress.update(self._task, completed=completed, note=note)


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Advance]:
    """Show a bar of ``total`` bytes on stderr while the block runs, if people are looking."""
    columns = (
        TextColumn(title),
        BarColumn(),
        TextColumn("{task.completed} bytes  {task.fields[note]}"),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield Advance(bar, bar.add_task(title, total=total, note=""))
