"""WebSocket connections that take in no more at a time than others can wait for.

Both daemons have such connections, at either end of them, and whatever a peer floods one with comes
through here.

websockets parses all that a read has brought, up to 256 KiB, before anybody else has a turn, which
may be a hundred thousand frames; and it answers every PING, whether or not the peer takes the
answers.  Here a few frames are parsed, then others have a turn; who sends more than its traffic
gives reason for is read from more slowly; and of PINGs the last one is answered, once there is room
for it, as RFC 6455 (5.5.3) allows.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection
from websockets.protocol import Event, State

FRAMES = 32
"""Frames that are parsed, and messages acted upon, before others have their turn ..."""
PIECE = 512
"""... and bytes after which is looked how many it have been; what is in them is in addition."""
READ = 16_384
"""Bytes that are read at a time."""
RATE = 500.0
"""Frames a second that may come for no reason: signs of life, requests that come to nothing ..."""
BURST = 2000.0
"""... and so many at once after a rest."""
EARNING = 64
"""Bytes of pictures carried, either way, that are reason enough for a frame."""

_PONG = 0x8A
"""What a PONG begins with."""
_local = threading.local()


class Paced(Connection, asyncio.BufferedProtocol):
    """A connection whose peer holds up nobody but itself, by whatever it sends."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        """Prepare as websockets does."""
        super().__init__(*arguments, **more)
        self._rest = b""
        """Read, and not parsed yet."""
        self._frames = 0
        """Parsed in this turn."""
        self._level, self._seen = BURST, self.loop.time()
        self.heard = self._seen
        """When bytes came last, in the event loop's time."""
        self._full = False
        """As many messages wait as may: nothing more is parsed until they are taken."""
        self._next: asyncio.Handle | None = None
        """When it goes on, while it reads nothing."""
        self._pong = b""
        """The last one, until there is room for it."""

    def earn(self, size: int) -> None:
        """Count bytes of pictures that were carried, either way."""
        self._level = min(BURST, self._level + size / EARNING)

    def charge(self, frames: float) -> None:
        """Count a message as so many more of the simplest kind, as far as its work goes."""
        self._level -= frames

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.recv_messages.pause = self._fill_up
        self.recv_messages.resume = self._empty

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest = self._pong = b""
        self._forget()
        super().connection_lost(exc)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """Return where to read to: one place for all of a thread, since it is emptied at once."""
        try:
            buffer: memoryview = _local.buffer
        except AttributeError:
            buffer = _local.buffer = memoryview(bytearray(READ))
        return buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(_local.buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        self.heard = self.loop.time()
        self._rest = self._rest + data if self._rest else data
        if self._next is None:
            self._parse()

    def process_event(self, event: Event) -> None:
        self._frames += 1
        super().process_event(event)

    def send_data(self) -> None:
        writes = self.protocol.writes
        if any(data[:1] == b"\x8a" for data in writes):
            self._pong = next(data for data in reversed(writes) if data[:1] == b"\x8a")
            self.protocol.writes = [data for data in writes if data[:1] != b"\x8a"]
        super().send_data()
        self._answer()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._answer()

    def _answer(self) -> None:
        """Answer the last PING, if there is room for that."""
        if self._pong and not self.paused and self.protocol.state is State.OPEN:
            pong, self._pong = self._pong, b""
            self.transport.write(pong)

    def _parse(self) -> None:
        """Parse some of what was read, and see to when the rest is."""
        self._forget()
        now = self.loop.time()
        self._level = min(BURST, self._level + (now - self._seen) * RATE)
        self._seen = now
        self._frames = start = 0
        while (
            start < len(self._rest) and self._frames < FRAMES and self._level > 0 and not self._full
        ):
            before = self._frames
            super().data_received(self._rest[start : start + PIECE])
            self._level -= self._frames - before
            start += PIECE
        self._rest = self._rest[start:]
        if self._level <= 0:
            # Until it may be as many as have a turn together: seldom is cheaper than often.
            wait = (FRAMES - self._level) / RATE
            self._next = self.loop.call_later(wait, self._parse)
        elif self._rest and not self._full:
            self._next = self.loop.call_soon(self._parse)
        self._steer()

    def _steer(self) -> None:
        """Read, if there is nothing to be seen to before."""
        if self._full or self._rest or self._next is not None:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def _forget(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _fill_up(self) -> None:
        self._full = True
        self._steer()

    def _empty(self) -> None:
        self._full = False
        if self._rest and self._next is None:
            self._next = self.loop.call_soon(self._parse)
        self._steer()


class PacedServerConnection(Paced, ServerConnection):
    """One that was taken."""


class PacedClientConnection(Paced, ClientConnection):
    """One that was made."""
