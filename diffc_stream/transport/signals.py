"""Signals that tell a long-running command to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from diffc_stream.interruption import GRACE, leave


def on_stop(call: Callable[[], object]) -> None:
    """Call ``call`` every time the process is told to stop by SIGINT or SIGTERM.

    Must be called on an event loop, and lasts as long as that runs.  On Windows it does nothing:
    there, Ctrl-C raises KeyboardInterrupt.
    """
    for signum in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(signum, call)


def on_hangup(call: Callable[[], object]) -> None:
    """Call ``call`` at SIGHUP, which would end the process otherwise.  Windows has no SIGHUP."""
    with contextlib.suppress(NotImplementedError, AttributeError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, call)


def stay(work: Coroutine[Any, Any, object]) -> NoReturn:
    """Run ``work`` until the process is told to stop, then end the process with exit code 0.

    It has half a second to close what is open.  Raises the errors of ``work``.
    """
    asyncio.run(_until_told(work))


def leave_at_once() -> NoReturn:
    """End the process with exit code 0, without waiting for threads.

    The interpreter would wait for a step that is being computed, which may take long and is of no
    use any more.
    """
    logging.shutdown()
    leave(0)


async def _until_told(work: Coroutine[Any, Any, object]) -> NoReturn:
    running = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()

    def told() -> None:
        running.cancel()
        loop.call_later(GRACE, leave_at_once)

    on_stop(told)
    with contextlib.suppress(asyncio.CancelledError):
        await running
    leave_at_once()  # Called here, because ending the loop would wait for threads.
