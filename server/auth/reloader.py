"""Reads tokens and certificate again when their files change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from diffc_stream.opening import is_passing

REREAD = 2.0
"""Seconds between two checks of the files."""

logger = logging.getLogger("diffc_server")


class Reloader:
    """Checks files at regular intervals, and whenever it is told to."""

    def __init__(self, reread: Callable[[], Awaitable[None]]) -> None:
        """Call ``reread`` for each check."""
        self._reread = reread
        self._watch: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Check every REREAD seconds from now on."""
        self._watch = asyncio.create_task(self._keep_watch())

    async def stop(self) -> None:
        """Stop checking."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None

    def check_soon(self) -> None:
        """Start a check now, and return at once."""
        self._checking = asyncio.get_running_loop().create_task(self._check())

    async def _keep_watch(self) -> None:
        while True:
            await asyncio.sleep(REREAD)
            await self._check()

    async def _check(self) -> None:
        try:
            await self._reread()
        except Exception as error:
            if is_passing(error):
                logger.warning("tokens and certificate will be checked later: %s", error)
            else:
                # A bug, after which checking has to go on: tokens must not live for ever.
                logger.exception("checking tokens and certificate failed")
