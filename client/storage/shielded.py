"""Runs work on a thread to its end, even if the waiting task is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


async def shielded(work: Callable[[], Result]) -> Result:
    """Run ``work`` on a thread and return its result; raises as ``work`` does.

    A cancellation takes effect only once the work is done: otherwise the caller's next steps would
    find a file half closed, and the end of the event loop would not wait for it.
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
