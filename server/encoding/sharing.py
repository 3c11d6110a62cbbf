"""What a growing stream has in common with those of other senders: store, lease and entity tag."""

from __future__ import annotations

import asyncio
from typing import Protocol

from diffc_stream.errors import RequestRefused

from ..cache.persister import Persister
from ..cache.store import Stored
from .engine import Provenance, entity_tag_of

FOLLOW = 0.5
"""Seconds between two looks at what another sender has encoded."""


class Growing(Protocol):
    """A stream that grows."""

    complete: bool
    """Whether all of it is there."""

    def __len__(self) -> int: ...

    def held(self) -> bytes:
        """Return its bytes."""
        ...

    def accept(self, stored: Stored) -> None:
        """Take what it does not hold yet of a stream that begins as it does."""
        ...

    def lacks(self) -> bool:
        """Tell whether a subscriber waits for more than is there."""
        ...


class Sharing:
    """Has one stream share what is stored, and its encoding, with other senders."""

    def __init__(self, stream: Growing, persister: Persister, engine: str) -> None:
        """Share ``stream``; ``engine`` is the mark of this sender's encoders."""
        self.provenance = Provenance(engine)
        """Which encoders have made it."""
        self.following = False
        """Whether it waits for what another sender encodes."""
        self._elsewhere = False
        """Whether another sender goes on with it."""
        self._stream = stream
        self._persister = persister
        persister.before_release = self.save
        self._looking: asyncio.Task[bool] | None = None
        """The first look into the store, which all wait for."""

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task that is saving or releasing the lease now, if there is one."""
        return self._persister.task

    @property
    def maker(self) -> str:
        """Which encoders will have made the stream as it goes on now."""
        if self._elsewhere or self._stream.complete:
            return self.provenance.maker
        return self.provenance.ahead(len(self._stream))

    @property
    def due(self) -> bool:
        """Whether it is time to save what has grown."""
        return self._persister.due

    async def tag(self) -> str:
        """Return the strong entity tag, equal for all senders whose encoders make the same bytes.

        Raises OSError or RequestRefused if the picture's file cannot be read.
        """
        await self.look()
        return entity_tag_of(await self._persister.key(), self.maker)

    async def look(self) -> None:
        """Take what the store has, the first time together with all others who look.

        Raises OSError or RequestRefused if the picture's file cannot be read.
        """
        if not self._persister.keeps:
            return
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._recall())
        try:
            await asyncio.shield(self._looking)
        except (OSError, RequestRefused):
            self._looking = None
            raise

    async def may_encode(self) -> bool:
        """Get the lease, and take what others have stored meanwhile.

        Returns True if that is nothing, and False if it is something, or if another sender has the
        lease: then :meth:`follow`.
        """
        if self._persister.claimed:
            return True
        if not await self._persister.claim():
            self.following = self._elsewhere = True
            return False
        return not await self._recall(again=True)

    async def follow(self) -> None:
        """Take what another sender stores, as long as that one encodes and more is wanted.

        May be cancelled while ``following``.
        """
        while self._stream.lacks() and await self._persister.elsewhere():
            self.following = True
            await asyncio.sleep(FOLLOW)
            self.following = False
            await self._recall(again=True)
        self.following = self._elsewhere = False

    def work(self, active: bool) -> None:
        """Note that the stream is being computed now, or is not: a lease is for those who are."""
        self._persister.work(active)
        self.following = self._elsewhere = False

    def save(self) -> None:
        """Store the stream as it is, in the background."""
        if self._persister.keeps and (data := self._stream.held()):
            complete, maker = self._stream.complete, self.provenance.maker
            self._persister.save(Stored(data=data, complete=complete, maker=maker))

    def release(self) -> None:
        """Store the stream, and then let other senders go on with it."""
        self.save()
        self._persister.release()

    def rest(self) -> None:
        """Look again when more is wanted."""
        if self._persister.claimed:
            self.release()
        if self._looking is not None and self._looking.done():
            self._looking = None

    async def delete(self) -> None:
        """Delete from the store what it gave: it cannot be continued."""
        await self._persister.delete(self._stream.held())

    def close(self) -> None:
        """Stop looking and saving."""
        if self._looking is not None:
            self._looking.cancel()
        self._persister.close()

    async def _recall(self, *, again: bool = False) -> bool:
        """Take what the store has beyond what is here; tell whether that was anything."""
        held = self._stream.held()
        stored = await self._persister.recall(held, again=again)
        if stored is None or not (len(stored.data) > len(held) or stored.complete):
            return False
        if len(stored.data) > len(held):
            self.provenance.took(stored.maker)
        self._stream.accept(stored)
        return True
