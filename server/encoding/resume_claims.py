"""What is encoded on somebody's word: that the beginning of a stream is held already.

A resume says how much is held, and proves it by a hash; but what the hash is compared with may have
to be encoded first, which takes an encoder's time and sends nothing.  So it is on trust: whoever
held what he said has it for nothing, of any size, and whoever did not, or leaves meanwhile, pays
for it, and is trusted again only when he has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from diffc_stream.errors import RequestRefused
from diffc_stream.session import Code
from diffc_stream.transport.bucket import Bucket

from .subscribers import Account

BURST = 1 / 3
"""Of an hour's worth, at once after a rest."""
TURNS = 1
"""Of a visitor's claims that are looked into at once: new pictures wait for a piece of each."""
HOUR = 3600.0


class Claim:
    """One claim, and who pays for what is encoded because of it."""

    def __init__(self, account: Account | None) -> None:
        self.spent = 0.0
        """Seconds of an encoder."""
        self._account = account

    def wait(self) -> float:
        """Return in how many seconds the account behind it can pay."""
        return self._account.wait() if self._account is not None else 0.0

    def charge(self, seconds: float) -> None:
        """Take note of an encoder's seconds; the account behind it pays them too."""
        self.spent += seconds
        if self._account is not None:
            self._account.charge(seconds)

    def prove(self) -> None:
        """It has turned out to be true: nothing is lost."""
        self.spent = 0.0


class Claims:
    """The claims of one visitor."""

    def __init__(self, clock: Callable[[], float], per_hour: float) -> None:
        """Lose up to ``per_hour`` seconds of an encoder by them; 0 is no limit."""
        self._clock = clock
        self._bucket = Bucket(per_hour / HOUR, per_hour * BURST, clock()) if per_hour else None
        self._turns = asyncio.Semaphore(TURNS)

    @asynccontextmanager
    async def claim(self, account: Account | None) -> AsyncIterator[Claim]:
        """Look into a claim: its seconds are lost when this ends, but for what was proven.

        Waits for its turn.  Raises RequestRefused, with the time to come back, if too much was lost
        already.
        """
        self._check()
        async with self._turns:
            self._check()
            claim = Claim(account)
            try:
                yield claim
            finally:
                if self._bucket is not None:
                    self._bucket.take(claim.spent)

    def _check(self) -> None:
        wait = self._bucket.wait(self._clock()) if self._bucket is not None else 0.0
        if wait > 0:
            message = "too much of what you said to hold already could not be proven"
            raise RequestRefused(Code.BUSY, message, retry=True, after=wait)
