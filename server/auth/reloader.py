"""Reads a file again when it changes: the tokens, or the certificate."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from diffc_stream.opening import is_passing

REREAD = 2.0
"""Seconds between two checks of the file."""

logger = logging.getLogger("diffc_server")


class Reloader:
    """Checks a file at regular intervals, and whenever it is told to.

    It has a thread of its own, because a disk that does not answer may hold all that read pictures.
    """

    def __init__(
        self, what: str, reread: Callable[[], None], apply: Callable[[], None] = lambda: None
    ) -> None:
        """Call ``reread`` on the thread for each check, and ``apply`` on the event loop afterwards.

        ``apply`` is called before, too, and however long reading takes, because time alone may
        change what holds.  ``what`` is what the log calls the file.
        """
        self._what = what
        self._reread = reread
        self._apply = apply
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reread")
        self._watch: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Check every REREAD seconds from now on."""
        self._watch = asyncio.create_task(self._keep_watch())

    async def stop(self) -> None:
        """Stop checking; a file that is being read is not waited for."""
        watch, self._watch = self._watch, None
        for task in (watch, self._checking):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._thread.shutdown(wait=False, cancel_futures=True)

    def check_soon(self) -> None:
        """Start a check now, unless one is under way or checking has stopped; return at once."""
        if self._watch is not None and (self._checking is None or self._checking.done()):
            self._checking = asyncio.get_running_loop().create_task(self._check())

    async def check(self) -> None:
        """Check now, and return once that is done."""
        self._apply()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._reread)
        self._apply()

    async def _keep_watch(self) -> None:
        while True:
            await asyncio.sleep(REREAD)
            with self._outliving():
                self._apply()
            self.check_soon()

    async def _check(self) -> None:
        with self._outliving():
            await self.check()

    @contextlib.contextmanager
    def _outliving(self) -> Iterator[None]:
        """Log an error: after a bug, too, checking has to go on, or tokens would live for ever."""
        try:
            yield
        except Exception as error:
            if is_passing(error):
                logger.warning("%s will be checked later: %s", self._what, error)
            else:
                logger.exception("checking %s failed", self._what)
