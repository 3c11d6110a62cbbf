"""Event loops on which nobody waits: when all tasks sleep, time jumps to when the first wakes."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

Result = TypeVar("Result")
Given = TypeVarTuple("Given")

SETTLING = 0.001
"""Real seconds that the operating system gets to deliver what was sent, before time jumps."""
LONGEST = 10.0
"""Real seconds without any event, and without a timer, after which a test is stuck."""


class _Selector(selectors.DefaultSelector):
    """Waits for a moment instead of ``timeout`` seconds, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        events = super().select(LONGEST if timeout is None else SETTLING)
        if not events:
            if timeout is None:
                raise RuntimeError("everybody waits, and nothing will ever happen")
            self.now += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time.  Executors compute at once, in no time, on its own thread."""

    def __init__(self) -> None:
        self._ticking = _Selector()
        super().__init__(self._ticking)

    def time(self) -> float:
        return self._ticking.now

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Given], Result],
        *args: *Given,
    ) -> asyncio.Future[Result]:
        future: asyncio.Future[Result] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future
