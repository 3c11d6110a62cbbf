"""What a command that stays up does when it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from diffc_stream.interruption import GRACE, leave


def on_stop(call: Callable[[], object]) -> None:
    """Have ``call`` called, every time, when the process is told to stop: SIGINT or SIGTERM.

    To be said on an event loop, for as long as that runs.  On Windows nothing changes: Ctrl-C is a
    KeyboardInterrupt there.
    """
    for signum in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(signum, call)


def on_hangup(call: Callable[[], object]) -> None:
    """Have ``call`` called at SIGHUP, which else would be the end; on Windows there is none."""
    with contextlib.suppress(NotImplementedError, AttributeError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, call)


def stay(work: Coroutine[Any, Any, object]) -> NoReturn:
    """Do ``work`` until the process is told to stop, and end it with exit code 0.

    What is not closed within half a second stays as it is.  Raises what the work does.
    """
    asyncio.run(_until_told(work))


def leave_at_once() -> NoReturn:
    """End the process with exit code 0, and wait for no thread.

    A step that is being computed may take long, and is of no use any more, but the interpreter
    would wait for it.
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
    leave_at_once()  # here, because ending the loop would wait for threads
