"""Pictures that are not asked for until some time has passed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Deferred:
    """Names of deferred pictures, each with a timer."""

    def __init__(self, again: Callable[[str], object]) -> None:
        """Call ``again`` with each name when its time has come."""
        self._again = again
        self._parked: dict[str, asyncio.TimerHandle | None] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._parked

    def __len__(self) -> int:
        return len(self._parked)

    def park(self, name: str, seconds: float | None) -> None:
        """Defer a picture for ``seconds``; None is until :meth:`discard`."""
        self.discard(name)
        timer = None
        if seconds is not None:
            timer = asyncio.get_running_loop().call_later(seconds, self._leave, name)
        self._parked[name] = timer

    def discard(self, name: str) -> None:
        """Stop deferring a picture."""
        timer = self._parked.pop(name, None)
        if timer is not None:
            timer.cancel()

    def clear(self) -> None:
        """Stop deferring all pictures."""
        for name in tuple(self._parked):
            self.discard(name)

    def _leave(self, name: str) -> None:
        self.discard(name)
        self._again(name)
