"""Pictures that are left alone for some time, because it would be no use to ask for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Deferred:
    """Names, each with when it is tried again."""

    def __init__(self, again: Callable[[str], object]) -> None:
        """Call ``again`` for each whose time has come."""
        self._again = again
        self._parked: dict[str, asyncio.TimerHandle | None] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._parked

    def __len__(self) -> int:
        return len(self._parked)

    def park(self, name: str, seconds: float | None) -> None:
        """Leave a picture alone for so long; None: until somebody takes it out."""
        self.discard(name)
        timer = None
        if seconds is not None:
            timer = asyncio.get_running_loop().call_later(seconds, self._leave, name)
        self._parked[name] = timer

    def discard(self, name: str) -> None:
        """Leave a picture alone no more."""
        timer = self._parked.pop(name, None)
        if timer is not None:
            timer.cancel()

    def clear(self) -> None:
        """Leave none alone any more."""
        for name in tuple(self._parked):
            self.discard(name)

    def _leave(self, name: str) -> None:
        self.discard(name)
        self._again(name)
