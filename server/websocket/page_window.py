"""Limits how many pages of a catalogue are in flight, so that pictures need not wait behind them.

Receivers acknowledge the bytes of pictures, so at most a window of those is in flight; they do not
acknowledge pages.  The catalogue of ten thousand pictures is half a megabyte, which would fill the
buffers of a slow link for minutes.  So a PING follows each page, and its PONG shows that the page
has arrived.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable

from websockets.asyncio.connection import Connection

MOST = 16
"""Most pages in flight, on a fast link: 40 kB."""
SOON = 1.0
"""If a page arrives within so many seconds, the link can take more of them at once."""
PATIENCE = 20.0
"""Seconds after which the next page is sent in any case: not all receivers answer a PING."""


class PageWindow:
    """The pages in flight on a connection: one at first, and doubling as they arrive in time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._clock = asyncio.get_running_loop().time
        self._most = 1
        self._under_way: deque[tuple[float, Awaitable[float]]] = deque()

    async def sent(self) -> None:
        """Note that a page has been sent; return when the next may be.

        Raises ConnectionClosed.
        """
        self._under_way.append((self._clock(), await self._connection.ping()))
        while len(self._under_way) >= self._most:
            await self._arrival()

    async def _arrival(self) -> None:
        since, answer = self._under_way.popleft()
        try:
            async with asyncio.timeout_at(since + PATIENCE):
                await asyncio.shield(answer)
        except TimeoutError:
            pass
        soon = self._clock() - since < SOON
        self._most = min(MOST, 2 * self._most) if soon else max(1, self._most // 2)
