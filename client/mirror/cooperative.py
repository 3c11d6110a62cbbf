"""Much to do on an event loop, bit by bit: others have their turns meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

AT_ONCE = 50

Item = TypeVar("Item")


async def cooperatively(items: Iterable[Item]) -> AsyncIterator[Item]:
    """Yield items; after every AT_ONCE of them whatever else runs on the loop goes first."""
    for number, item in enumerate(items, 1):
        yield item
        if not number % AT_ONCE:
            await asyncio.sleep(0)
