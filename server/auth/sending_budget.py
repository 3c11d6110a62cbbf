"""The bytes that a sender may send in an hour, a day and a month, to all receivers together."""

from __future__ import annotations

import asyncio

from diffc_stream.ledger import LOOK_AGAIN, Ledger


class SendingBudget:
    """Counts what is sent, and says when more may be.

    It notes on a thread what was sent, a little ahead, so a crash does not begin anew.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._saving: asyncio.Task[None] | None = None

    def spend(self, size: int) -> None:
        """Count ``size`` bytes as sent."""
        self._ledger.spend(size)
        if self._ledger.due and (self._saving is None or self._saving.done()):
            self._saving = asyncio.create_task(asyncio.to_thread(self._ledger.save))

    def wait(self) -> float:
        """Return the seconds until more may be sent, or until to ask again; 0 is now."""
        return min(self._ledger.wait(), LOOK_AGAIN)

    async def afford(self, size: int) -> None:
        """Wait until ``size`` bytes may be sent, and count them.

        More than the smallest limit are sent once anything may be.
        """
        least = min(size, self._ledger.budget.smallest or size)
        while wait := self._ledger.wait(least):  # noqa: ASYNC110  (time ends it)
            await asyncio.sleep(min(wait, LOOK_AGAIN))
        self.spend(size)

    async def close(self) -> None:
        """Note exactly what was sent."""
        if self._saving is not None:
            await self._saving
        await asyncio.to_thread(self._ledger.save, last=True)
