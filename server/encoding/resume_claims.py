"""Limits what clients can have encoded by claiming to hold the beginning of a stream.

A receiver that resumes says how many bytes it holds, and proves it by their hash.  To compare the
hash the sender may first have to encode those bytes, which takes an encoder's time and sends
nothing.  A claim that proves true costs nothing of the client's allowance.  The time of one
that proves false, or that the client abandons, is charged to the client, which may make new claims
only once its allowance has recovered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from diffc_stream.errors import RequestRefused
from diffc_stream.session import Code
from diffc_stream.transport.bucket import Bucket, limited

from .subscribers import Account

BURST = 1 / 3
"""The part of an hour's allowance that may be used at once."""
TURNS = 1
"""How many claims of a client are checked at once: new pictures wait for a piece of each."""
HOUR = 3600.0


class Claim:
    """One claim, and the encoder time spent on it."""

    def __init__(self, account: Account | None) -> None:
        self.spent = 0.0
        """Seconds of an encoder that are charged unless the claim is proven."""
        self._account = account

    def wait(self) -> float:
        """Return in how many seconds the underlying account may have something encoded."""
        return self._account.wait() if self._account is not None else 0.0

    def charge(self, seconds: float) -> None:
        """Count an encoder's seconds, and charge them to the underlying account too."""
        self.spent += seconds
        if self._account is not None:
            self._account.charge(seconds)

    def prove(self) -> None:
        """Note that the claim is true, so that it costs nothing."""
        self.spent = 0.0


class Claims:
    """The claims of one client."""

    def __init__(self, clock: Callable[[], float], per_hour: float) -> None:
        """Allow ``per_hour`` seconds of an encoder for unproven claims; 0 is no limit."""
        self._clock = clock
        self._bucket: Bucket | None = None
        self.allow(per_hour)
        self._turns = asyncio.Semaphore(TURNS)

    def allow(self, per_hour: float) -> None:
        """Change the allowance; what was charged before counts."""
        self._bucket = limited(self._bucket, per_hour / HOUR, per_hour * BURST, self._clock())

    @asynccontextmanager
    async def claim(self, account: Account | None) -> AsyncIterator[Claim]:
        """Check a claim inside this block; its seconds are charged at the end unless proven.

        Waits for its turn.  Raises RequestRefused, with the time to come back, if the allowance is
        used up.
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
            message = "too many of your claims to hold bytes could not be proven"
            raise RequestRefused(Code.BUSY, message, retry=True, after=wait)
