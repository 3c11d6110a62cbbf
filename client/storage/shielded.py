"""What lets go of files is done to its end, whatever happens to those who wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


async def shielded(work: Callable[[], Result]) -> Result:
    """Do ``work`` on a thread, and return what it does when it is done; raises what it raises.

    Whoever is cancelled meanwhile is so when it is done: what follows would find it half closed,
    and the end of an event loop would not wait for it.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work))
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait((running,))
        except asyncio.CancelledError as error:
            cancelled = error
    result = running.result()
    if cancelled is not None:
        raise cancelled
    return result
