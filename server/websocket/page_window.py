"""Limits how many pages of a catalogue are in flight, so that pictures need not wait behind them.

Receivers acknowledge the bytes of pictures, so at most a window of those is in flight; they do not
acknowledge pages.  The catalogue of ten thousand pictures is half a megabyte, which would fill the
buffers of a slow link for minutes.  So pages go in bursts: a PING follows each, and its PONG shows
that the burst has arrived.
"""

from __future__ import annotations

import asyncio

from websockets.asyncio.connection import Connection

MOST = 64
"""Most pages of a burst, on a fast link: some 160 kB."""
SOON = 1.0
"""If a burst arrives within so many seconds, the next has twice as many pages, or as many as arrive
in that time if those are more ..."""
GROWTH = 8
"""... but at most so many times as many."""
PATIENCE = 20.0
"""Seconds after which the next burst is sent in any case: not all receivers answer a PING."""


class PageWindow:
    """How many pages go to a receiver at once: one at first, later what arrives in a second."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._clock = asyncio.get_running_loop().time
        self.size = 1
        """Pages of the next burst."""

    async def sent(self) -> None:
        """Note that a burst has been sent; return when the next may be.

        Raises ConnectionClosed.
        """
        since, answer = self._clock(), await self._connection.ping()
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.shield(answer)
        except TimeoutError:
            pass
        took = self._clock() - since
        if took < SOON:
            growth = min(GROWTH, max(2.0, SOON / took)) if took > 0 else GROWTH
            self.size = min(MOST, int(growth * self.size))
        else:
            self.size = max(1, self.size // 2)
