"""Those who use a stream, and who of them pays for what is computed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

Wake = Callable[[], None]


class Account(Protocol):
    """Who pays for what an encoder computes."""

    def wait(self) -> float:
        """Return in how many seconds it may have something encoded; 0: now."""
        ...

    def charge(self, seconds: float) -> None:
        """Take seconds of an encoder off it."""
        ...


class Subscribers:
    """The listeners of one stream."""

    def __init__(self) -> None:
        self._users: list[tuple[Wake, Account | None]] = []
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._users)

    def join(self, wake: Wake, account: Account | None) -> None:
        """Add one; without an account it pays nothing."""
        self._users.append((wake, account))
        self._changed.set()

    def leave(self, wake: Wake) -> None:
        """Undo one join()."""
        del self._users[next(i for i, (known, _) in enumerate(self._users) if known == wake)]
        self._changed.set()

    def bill(self, wake: Wake, account: Account | None) -> None:
        """Have another account pay for one who has joined."""
        place = next(i for i, (known, _) in enumerate(self._users) if known == wake)
        self._users[place] = (wake, account)
        self._changed.set()

    def notify(self) -> None:
        """Wake all."""
        for wake, _ in tuple(self._users):
            wake()

    def wait(self) -> float:
        """Return in how many seconds one of them can pay; 0: now, or there is nobody."""
        return min((account.wait() if account else 0.0 for _, account in self._users), default=0.0)

    def payers(self) -> list[Account | None]:
        """Return who pays for what is computed now, each once; None is nobody's part."""
        return list({id(account): account for _, account in self._users}.values())

    async def changed(self, within: float) -> None:
        """Wait until somebody has come or gone, at most ``within`` seconds."""
        self._changed.clear()
        try:
            async with asyncio.timeout(within):
                await self._changed.wait()
        except TimeoutError:
            pass
