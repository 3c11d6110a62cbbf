"""The subscribers of a stream, and which accounts are charged for computing it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

Wake = Callable[[], None]


class Account(Protocol):
    """Is charged for encoder time."""

    def wait(self) -> float:
        """Return the seconds until it may have something encoded; 0 is now."""
        ...

    def charge(self, seconds: float) -> None:
        """Subtract seconds of an encoder."""
        ...


class Subscribers:
    """The subscribers of one stream."""

    def __init__(self) -> None:
        self._users: list[tuple[Wake, Account | None]] = []
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._users)

    def join(self, wake: Wake, account: Account | None) -> None:
        """Add a subscriber; without an account it is not charged."""
        self._users.append((wake, account))
        self._changed.set()

    def leave(self, wake: Wake) -> None:
        """Remove a subscriber."""
        del self._users[next(i for i, (known, _) in enumerate(self._users) if known == wake)]
        self._changed.set()

    def bill(self, wake: Wake, account: Account | None) -> None:
        """Replace the account of a subscriber."""
        place = next(i for i, (known, _) in enumerate(self._users) if known == wake)
        self._users[place] = (wake, account)
        self._changed.set()

    def notify(self) -> None:
        """Wake all subscribers."""
        for wake, _ in tuple(self._users):
            wake()

    def wait(self) -> float:
        """Return the seconds until any account may pay; 0 is now, also without subscribers."""
        return min((account.wait() if account else 0.0 for _, account in self._users), default=0.0)

    def payers(self) -> list[Account | None]:
        """Return the accounts to charge, each once; None is an unmetered share."""
        return list({id(account): account for _, account in self._users}.values())

    def charge(self, seconds: float) -> None:
        """Subtract seconds of an encoder, which worked for what all wait for, in equal shares."""
        payers = self.payers()
        for account in payers:
            if account is not None:
                account.charge(seconds / len(payers))

    async def changed(self, within: float) -> None:
        """Wait until a subscriber joins or leaves, at most ``within`` seconds."""
        self._changed.clear()
        try:
            async with asyncio.timeout(within):
                await self._changed.wait()
        except TimeoutError:
            pass
