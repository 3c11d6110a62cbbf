"""Loads one stream from the store, and saves it there as it grows."""

from __future__ import annotations

import asyncio

from ..catalogue.file import File
from ..ops.metrics import SenderMetrics
from ..threads.pools import WorkerPools
from .store import Outcome, Store, Stored, stream_key

SAVE_EVERY = 2.0
"""Seconds between two saves of a growing stream: at most so much work is lost with the process."""

PATIENCE = 5.0
"""Seconds that the store gets to answer; after that the stream counts as not stored."""


class Persister:
    """Loads and saves one stream."""

    def __init__(
        self, store: Store, file: File, recipe: str, workers: WorkerPools, metrics: SenderMetrics
    ) -> None:
        """Prepare for a picture's stream; for ``recipe`` see :func:`stream_key`."""
        self._store: Store | None = store
        self._file = file
        self._recipe = recipe
        self._workers = workers
        self._metrics = metrics
        self._key: str | None = None
        self._kept = (0, False)
        """How many bytes are known to be in the store, and whether they are the whole stream."""
        self._next: Stored | None = None
        self._task: asyncio.Task[None] | None = None
        self._saved_at = asyncio.get_running_loop().time()

    @property
    def due(self) -> bool:
        """Whether SAVE_EVERY seconds have passed since the last save."""
        return asyncio.get_running_loop().time() - self._saved_at >= SAVE_EVERY

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task that is saving now, if there is one."""
        return None if self._task is None or self._task.done() else self._task

    async def recall(self, held: bytes) -> Stored | None:
        """Return the stored stream if it begins with ``held``, else None.

        Raises OSError or RequestRefused if the picture's file cannot be read.
        """
        if self._store is None:
            return None
        if self._key is None:
            self._key = await self._workers.read(stream_key, self._file, self._recipe)
        try:
            async with asyncio.timeout(PATIENCE):
                stored = await self._workers.recall(self._store.load, self._key)
        except TimeoutError:
            self._store.miss()
            stored = None
        if stored is None or not stored.data.startswith(held):
            self._metrics.misses += 1
            return None
        self._metrics.hits += 1
        self._kept = len(stored.data), stored.complete
        return stored

    def save(self, stream: Stored) -> None:
        """Save a stream in the background; while one save runs, only the newest request waits."""
        if self._store is None or self._key is None:
            return
        self._saved_at = asyncio.get_running_loop().time()
        self._next = stream
        if self.task is None:
            self._task = asyncio.get_running_loop().create_task(self._save(self._store, self._key))

    async def delete(self, data: bytes) -> None:
        """Delete from the store the beginning of ``data`` that it gave: it cannot be continued."""
        store, self._store = self._store, None
        length, complete = self._kept
        if store is not None and self._key is not None and length:
            stored = Stored(data=data[:length], complete=complete)
            await self._workers.write(store.drop, self._key, stored)

    def close(self) -> None:
        """Stop saving."""
        self._store = None
        if self._task is not None:
            self._task.cancel()

    async def _save(self, store: Store, key: str) -> None:
        while (stream := self._next) is not None and self._store is not None:
            self._next = None
            mark = len(stream.data), stream.complete
            if mark == self._kept:
                await self._workers.write(store.touch, key)
                continue
            outcome = await self._workers.write(store.save, key, stream)
            if outcome is Outcome.STORED:
                self._kept = mark
                self._metrics.stored += mark[0]
            elif outcome is Outcome.REFUSED:
                self._store = None
