"""Worker threads, for what would block the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from .encoder_threads import EncoderThreads

READERS = 4

Result = TypeVar("Result")
Given = TypeVarTuple("Given")


class WorkerPools:
    """Threads that encode, read files, read the store, write to it, and hash what is in memory.

    The pools are separate, so that a slow store or disk delays nothing else.
    """

    def __init__(self, encoders: int) -> None:
        """Start pools that encode up to ``encoders`` pieces at once."""
        self.encoders = EncoderThreads(encoders)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self._recalling = ThreadPoolExecutor(READERS, thread_name_prefix="store")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._hasher = ThreadPoolExecutor(1, thread_name_prefix="hasher")

    async def read(self, function: Callable[[*Given], Result], *arguments: *Given) -> Result:
        """Run a function that reads files, and return its result."""
        return await self._run(self._readers, function, *arguments)

    async def recall(self, function: Callable[[*Given], Result], *arguments: *Given) -> Result:
        """Run a function that reads from the store, and return its result."""
        return await self._run(self._recalling, function, *arguments)

    async def write(self, function: Callable[[*Given], Result], *arguments: *Given) -> Result:
        """Run a function that writes to the store, one at a time, and return its result."""
        return await self._run(self._writer, function, *arguments)

    async def hash(self, function: Callable[[*Given], Result], *arguments: *Given) -> Result:
        """Run a function that hashes what is in memory, one at a time, and return its result."""
        return await self._run(self._hasher, function, *arguments)

    def close(self) -> None:
        """Start nothing more; what has been started is finished, and its results are dropped."""
        self.encoders.close()
        for pool in (self._readers, self._recalling, self._writer, self._hasher):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _run(
        self, pool: ThreadPoolExecutor, function: Callable[[*Given], Result], *arguments: *Given
    ) -> Result:
        return await asyncio.get_running_loop().run_in_executor(pool, function, *arguments)
