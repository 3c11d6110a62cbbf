"""Commands that stay up until they are told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Coroutine
from typing import Any, NoReturn

from diffc_stream.interruption import GRACE, leave


def stay(work: Coroutine[Any, Any, object]) -> NoReturn:
    """Do ``work`` until SIGINT or SIGTERM, and end the process with exit code 0.

    What is not closed within half a second stays as it is.  Raises what the work does.
    """
    asyncio.run(_until_told(work))


async def _until_told(work: Coroutine[Any, Any, object]) -> NoReturn:
    running = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()

    def told() -> None:
        running.cancel()
        loop.call_later(GRACE, _leave)

    for signum in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # not on Windows
            loop.add_signal_handler(signum, told)
    with contextlib.suppress(asyncio.CancelledError):
        await running
    # Here, because ending the loop would wait for the picture that is being computed.
    _leave()


def _leave() -> NoReturn:
    logging.shutdown()
    leave(0)
