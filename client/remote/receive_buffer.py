"""What arrives of a stream, and waits to be taken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from diffc_stream.errors import SessionError
from diffc_stream.session import Data, End, Target

if TYPE_CHECKING:
    from .websocket import Link

MOST_WAITING = 2**18
"""Bytes that may wait for a disk before nothing more is read of a link."""


class Backlog:
    """Bytes of a link's streams that have arrived and wait to be taken."""

    def __init__(self) -> None:
        self.nbytes = 0
        self._taken = asyncio.Event()

    def add(self, nbytes: int) -> None:
        """Count some more, or with a negative number some less."""
        self.nbytes += nbytes
        if nbytes < 0:
            self._taken.set()

    async def room(self) -> None:
        """Wait until there are no more than may be."""
        while self.nbytes > MOST_WAITING:
            self._taken.clear()
            await self._taken.wait()


class Arrivals:
    """What arrives of one stream."""

    def __init__(self, link: Link, stream: int, backlog: Backlog | None) -> None:
        """Have bytes counted in ``backlog``, if there is one, for as long as they wait."""
        self._link = link
        self._stream = stream
        self._backlog = backlog
        self._waiting = 0
        self._failed = False
        """The last thing that waits is an error."""
        self._queue: asyncio.Queue[Data | End | SessionError] = asyncio.Queue()
        self._updates = 0

    async def next(self) -> Data | End:
        """Wait for the next bytes, or the end.

        Raises PeerError, RemoteProtocolError, LinkLost, or as a kind of that SenderLeaving.
        """
        event = await self._queue.get()
        if isinstance(event, SessionError):
            raise event
        if isinstance(event, Data):
            self._count(-len(event.payload))
        return event

    async def several(self) -> tuple[bytes, End | None]:
        """Wait for the next bytes, and return all that are there by now, and the end if it is.

        Raises what :meth:`next` does.
        """
        event, parts = await self.next(), list[bytes]()
        while isinstance(event, Data):
            parts.append(event.payload)
            # What has gone wrong is for the next time: these bytes came before.
            if self._queue.qsize() <= self._failed:
                return b"".join(parts), None
            event = await self.next()
        return b"".join(parts), event

    def update(self, target: Target, weight: float) -> None:
        """Change how far the stream goes and its weight, if it has not ended."""
        self._updates += 1
        self._link.update(self._stream, target, weight)

    def heard(self, end: End) -> bool:
        """Tell whether the sender knew of all updates when it ended the stream."""
        return end.updates == self._updates

    def put(self, event: Data | End | SessionError) -> None:
        """Take what the link has for this stream; nothing follows an end or an error."""
        if isinstance(event, Data):
            self._count(len(event.payload))
        self._failed = isinstance(event, SessionError)
        self._queue.put_nowait(event)

    def stop(self) -> None:
        """Say that no more is wanted."""
        self._link.stop(self._stream)
        self._count(-self._waiting)
        self._backlog = None

    def _count(self, nbytes: int) -> None:
        if self._backlog is not None:
            self._waiting += nbytes
            self._backlog.add(nbytes)
