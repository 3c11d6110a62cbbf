"""Commands that stay up until they are told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Coroutine
from typing import Any, NoReturn


def stay(work: Coroutine[Any, Any, object]) -> NoReturn:
    """Do ``work`` until SIGINT or SIGTERM, and end the process with exit code 0.

    Raises what the work does.
    """
    asyncio.run(_until_told(work))
    # Nobody waits for the picture that is being computed, but the interpreter would.
    logging.shutdown()
    os._exit(0)


async def _until_told(work: Coroutine[Any, Any, object]) -> None:
    running = asyncio.ensure_future(work)
    for signum in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # not on Windows
            asyncio.get_running_loop().add_signal_handler(signum, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running
