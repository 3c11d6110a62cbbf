"""How many pages of a catalogue are under way at once.

Pictures are acknowledged, and so never wait behind more than a window of themselves; pages are not.
A catalogue of ten thousand pictures is half a megabyte, and whatever buffers there are on the way
would be full of it for minutes.  So a PING follows each page, and the PONG says that it has come.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable

from websockets.asyncio.connection import Connection

MOST = 16
"""Pages under way at once, on a link that takes them at once: 40 kB."""
SOON = 1.0
"""Seconds within which a page arrives on a link that can take more of them."""
PATIENCE = 20.0
"""Seconds after which the next page goes all the same: not everybody answers to a PING."""


class PageWindow:
    """The pages that are under way on a connection; begins with one, and doubles as they arrive."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._clock = asyncio.get_running_loop().time
        self._most = 1
        self._under_way: deque[tuple[float, Awaitable[float]]] = deque()

    async def sent(self) -> None:
        """A page has been sent; returns when there is room for the next.

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
