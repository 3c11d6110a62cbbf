"""Buffers for bytes that have arrived and wait to be taken."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from diffc_stream.errors import SessionError
from diffc_stream.session import Data, End, Target

if TYPE_CHECKING:
    from .websocket import Link

MOST_WAITING = 2**18
"""Bytes that may wait, for a slow disk for example, before reading from the link stops."""


class Backlog:
    """Counts the waiting bytes of all streams of a link."""

    def __init__(self) -> None:
        self.nbytes = 0
        self._taken = asyncio.Event()

    def add(self, nbytes: int) -> None:
        """Add to the count; a negative number subtracts."""
        self.nbytes += nbytes
        if nbytes < 0:
            self._taken.set()

    async def room(self) -> None:
        """Wait until at most MOST_WAITING bytes are waiting."""
        while self.nbytes > MOST_WAITING:
            self._taken.clear()
            await self._taken.wait()


class IncomingStream:
    """The events of one stream as they arrive."""

    def __init__(self, link: Link, stream: int, backlog: Backlog | None) -> None:
        """Count bytes in ``backlog``, if given, as long as they wait."""
        self._link = link
        self._stream = stream
        self._backlog = backlog
        self._waiting = 0
        self._failed = False
        """Whether the last waiting event is an error."""
        self._queue: asyncio.Queue[Data | End | SessionError] = asyncio.Queue()
        self._updates = 0

    async def next(self) -> Data | End:
        """Wait for the next bytes, or the end.

        Raises PeerError, RemoteProtocolError or LinkLost, of which SenderLeaving is a kind.
        """
        event = await self._queue.get()
        if isinstance(event, SessionError):
            raise event
        if isinstance(event, Data):
            self._count(-len(event.payload))
        return event

    async def several(self) -> tuple[bytes, End | None]:
        """Wait for bytes; return all that have arrived, and the end if it has too.

        Raises as :meth:`next` does.
        """
        event, parts = await self.next(), list[bytes]()
        while isinstance(event, Data):
            parts.append(event.payload)
            # An error is left for the next call: these bytes came before it.
            if self._queue.qsize() <= self._failed:
                return b"".join(parts), None
            event = await self.next()
        return b"".join(parts), event

    def update(self, target: Target, weight: float) -> None:
        """Change the stream's target and weight, if it has not ended."""
        self._updates += 1
        self._link.update(self._stream, target, weight)

    def heard(self, end: End) -> bool:
        """Tell whether the sender had received all updates when it ended the stream."""
        return end.updates == self._updates

    def put(self, event: Data | End | SessionError) -> None:
        """Add an event of the link; an end or an error is the last."""
        if isinstance(event, Data):
            self._count(len(event.payload))
        self._failed = isinstance(event, SessionError)
        self._queue.put_nowait(event)

    def stop(self) -> None:
        """Tell the sender to stop the stream, and drop what waits."""
        self._link.stop(self._stream)
        self._count(-self._waiting)
        self._backlog = None

    def _count(self, nbytes: int) -> None:
        if self._backlog is not None:
            self._waiting += nbytes
            self._backlog.add(nbytes)
