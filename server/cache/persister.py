"""Loads one stream from the store, saves it there as it grows, and has the right to encode it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from ..catalogue.file import File
from ..ops.metrics import SenderMetrics
from ..threads.pools import WorkerPools
from .lease import RENEW, Lease, NoLease
from .store import Outcome, Store, Stored
from .stream_key import stream_key

SAVE_EVERY = 2.0
"""Seconds between two saves of a growing stream: at most so much work is lost with the process."""

PATIENCE = 5.0
"""Seconds that the store gets to answer; after that the stream counts as not stored."""
SAVE_PATIENCE = 30.0
"""Seconds that it gets to take a stream."""

Result = TypeVar("Result")
Other = TypeVar("Other")
Given = TypeVarTuple("Given")


class Persister:
    """Loads and saves one stream, and holds the lease while it is encoded."""

    def __init__(
        self,
        store: Store | None,
        file: File,
        recipe: str,
        workers: WorkerPools,
        metrics: SenderMetrics,
        *,
        before: tuple[File, ...] = (),
    ) -> None:
        """Prepare for a picture's stream; for ``recipe`` and ``before`` see :func:`stream_key`.

        Without a store nothing is found, and nothing is saved.
        """
        self.before_release: Callable[[], None] = lambda: None
        """Is called before the lease is given back for want of work, to save what has grown."""
        self._store = store
        self._file = file
        self._recipe, self._before = recipe, before
        self._workers = workers
        self._metrics = metrics
        self._key: str | None = None
        self._kept = (0, False)
        """How many bytes are known to be in the store, and whether they are the whole stream."""
        self._maker = ""
        """Which encoders have made those."""
        self._looked = False
        """Whether it is known what is in the store."""
        self._next: Stored | None = None
        self._task: asyncio.Task[None] | None = None
        self._saved_at = asyncio.get_running_loop().time()
        self._lease: Lease | None = None
        self._given_up: Lease | None = None
        """A lease to release once all is saved."""
        self._renewing: asyncio.Task[None] | None = None
        self._active = self._was_active = False
        """Whether the stream is being computed, and whether it was since the last renewal."""

    @property
    def due(self) -> bool:
        """Whether SAVE_EVERY seconds have passed since the last save."""
        return asyncio.get_running_loop().time() - self._saved_at >= SAVE_EVERY

    @property
    def keeps(self) -> bool:
        """Whether anything would be saved."""
        return self._store is not None

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task that is saving or releasing the lease now, if there is one."""
        return None if self._task is None or self._task.done() else self._task

    @property
    def claimed(self) -> bool:
        """Whether this sender has the right to encode the stream."""
        return self._lease is not None or self._store is None

    async def key(self) -> str:
        """Return the stream's key.

        Raises OSError or RequestRefused if the picture's file cannot be read.
        """
        if self._key is None:
            self._key = await self._workers.read(stream_key, self._file, self._recipe, self._before)
        return self._key

    async def recall(self, held: bytes, *, again: bool = False) -> Stored | None:
        """Return the stored stream if it begins with ``held``, else None.

        ``again`` says that this lookup is counted already.
        Raises OSError or RequestRefused if the picture's file cannot be read.
        """
        if self._store is None:
            return None
        key, self._looked = await self.key(), True
        stored = await self._within(PATIENCE, None, self._store.load, key)
        if stored is None or not stored.data.startswith(held):
            self._metrics.misses += not again
            return None
        self._metrics.hits += not again
        self._kept, self._maker = (len(stored.data), stored.complete), stored.maker
        return stored

    async def claim(self) -> bool:
        """Try to get the right to encode; return False if another sender has it.

        Raises OSError or RequestRefused if the picture's file cannot be read.
        """
        if self._store is None or self._lease is not None:
            return True
        if self.task is not None:
            # An earlier lease has to be released first; a store that hangs is not waited for.
            await asyncio.wait([self.task], timeout=PATIENCE)
        key = await self.key()
        lease: Lease | None = NoLease()
        if self.task is None:
            lease = await self._within(PATIENCE, lease, self._store.claim, key)
        if lease is None:
            self._metrics.leases["elsewhere"] += 1
            return False
        self._metrics.leases["none" if isinstance(lease, NoLease) else "here"] += 1
        self._lease = lease
        if not isinstance(lease, NoLease):
            self._renewing = asyncio.get_running_loop().create_task(self._renew(self._store, lease))
        return True

    async def elsewhere(self) -> bool:
        """Tell whether another sender has the right to encode."""
        if self._store is None:
            return False
        return await self._within(PATIENCE, False, self._store.claimed, await self.key())

    def work(self, active: bool) -> None:
        """Note that the stream is being computed now, or is not."""
        self._active = active
        self._was_active |= active

    def release(self) -> None:
        """Let others encode once all is saved."""
        if self._lease is None or self._store is None:
            return
        if self._renewing is not None:
            self._renewing.cancel()
            self._renewing = None
        lease, self._lease = self._lease, None
        if isinstance(lease, NoLease):
            return
        self._given_up = lease
        self._begin(self._store)

    def save(self, stream: Stored) -> None:
        """Save a stream in the background; while one save runs, only the newest request waits."""
        if self._store is None or not self._looked:
            return
        self._saved_at = asyncio.get_running_loop().time()
        self._next = stream
        self._begin(self._store)

    async def delete(self, data: bytes) -> None:
        """Delete from the store the beginning of ``data`` that it gave: it cannot be continued."""
        self.release()
        store, self._store = self._store, None
        length, complete = self._kept
        if store is not None and self._key is not None and length:
            stored = Stored(data=data[:length], complete=complete, maker=self._maker)
            await self._workers.write(store.drop, self._key, stored)

    def close(self) -> None:
        """Stop saving."""
        self._store = None
        for task in (self._task, self._renewing):
            if task is not None:
                task.cancel()
        for lease in (self._lease, self._given_up):
            if lease is not None:
                lease.close()

    def _begin(self, store: Store) -> None:
        if self.task is None and self._key is not None:
            self._task = asyncio.get_running_loop().create_task(self._work(store, self._key))

    async def _work(self, store: Store, key: str) -> None:
        """Save what is to be saved, and then release the lease if that is wanted."""
        while True:
            if (stream := self._next) is not None and self._store is not None:
                self._next = None
                await self._save(store, key, stream)
            elif (lease := self._given_up) is not None:
                await self._within(SAVE_PATIENCE, None, store.release, lease)
                self._given_up = None  # not before: close() ends it if this is cut short
            else:
                return

    async def _save(self, store: Store, key: str, stream: Stored) -> None:
        mark = len(stream.data), stream.complete
        if mark == self._kept:
            await self._workers.write(store.touch, key)
            return
        try:
            async with asyncio.timeout(SAVE_PATIENCE):
                outcome = await self._workers.write(store.save, key, stream)
        except TimeoutError:
            store.miss("written")
            return
        if outcome is Outcome.STORED:
            self._kept, self._maker = mark, stream.maker
            self._metrics.stored += mark[0]
        elif outcome is Outcome.REFUSED:
            self._store = None

    async def _renew(self, store: Store, lease: Lease) -> None:
        """Keep the lease as long as the stream is being computed."""
        while True:
            self._was_active = self._active
            await asyncio.sleep(RENEW)
            if not self._was_active:
                break
            if not await self._within(PATIENCE, True, store.renew, lease):
                return  # another may have it; what both encode is the same
        self._renewing = None
        self.before_release()
        self.release()

    async def _within(
        self,
        seconds: float,
        otherwise: Other,
        function: Callable[[*Given], Result],
        *arguments: *Given,
    ) -> Result | Other:
        """Return what the store says, or ``otherwise`` if that takes longer."""
        try:
            async with asyncio.timeout(seconds):
                return await self._workers.recall(function, *arguments)
        except TimeoutError:
            if self._store is not None:
                self._store.miss()
            return otherwise
