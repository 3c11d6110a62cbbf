"""WebSocket connections that cannot hold up others, whatever a peer sends.

Both daemons use them, at either end, so everything that a peer may flood them with comes through
here.

websockets alone parses everything that a read has brought, up to 256 KiB, before other connections
have a turn; that may be a hundred thousand frames.  And it answers every PING, whether or not the
peer reads the answers.  Here, a few frames are parsed before others have a turn.  Peers that send
more frames than their pictures justify are read from more slowly.  Of several PINGs only the last
one is answered, once there is room for the answer, as RFC 6455 (5.5.3) allows.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection
from websockets.frames import CTRL_OPCODES, Frame
from websockets.protocol import Event, State

FRAMES = 32
"""Frames that are parsed, and messages handled, before other connections have a turn."""
PIECE = 512
"""Bytes after which the frames are counted; those in the last piece may exceed FRAMES."""
READ = 16_384
"""Bytes that are read at a time."""
RATE = 500.0
"""Frames a second that a peer may send without carrying pictures: signs of life, requests ..."""
BURST = 2000.0
"""... and how many of them at once after a rest."""
EARNING = 64
"""Bytes of pictures, in either direction, that justify one more frame."""

_PONG = 0x8A
"""First byte of a PONG."""
_local = threading.local()


class Paced(Connection, asyncio.BufferedProtocol):
    """A connection whose peer can hold up only itself, whatever it sends."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        """Prepare as websockets does."""
        super().__init__(*arguments, **more)
        self._rest = b""
        """Bytes that were read, but not parsed yet."""
        self._frames = 0
        """Frames parsed in this turn."""
        self._level, self._seen = BURST, self.loop.time()
        self.heard = self._seen
        """When bytes of a message came last, in the event loop's time.

        Libraries answer a PING for programs that hang, so that a PONG says nothing of them.
        """
        self._full = False
        """Whether the queue of messages is full: nothing is parsed until some are taken."""
        self._next: asyncio.Handle | None = None
        """The call that parses the rest, while nothing is read."""
        self._pong = b""
        """The last PONG, until there is room to send it."""

    def earn(self, size: int) -> None:
        """Credit the connection for ``size`` bytes of pictures, in either direction."""
        self._level = min(BURST, self._level + size / EARNING)

    def charge(self, frames: float) -> None:
        """Charge a message for its work, as if it were ``frames`` more of the simplest kind."""
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
        """Return the buffer to read to.  A thread has only one, because it is emptied at once."""
        try:
            buffer: memoryview = _local.buffer
        except AttributeError:
            buffer = _local.buffer = memoryview(bytearray(READ))
        return buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(_local.buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        self._rest = self._rest + data if self._rest else data
        if self._next is None:
            self._parse()

    def process_event(self, event: Event) -> None:
        self._frames += 1
        if isinstance(event, Frame) and event.opcode not in CTRL_OPCODES:
            self.heard = self.loop.time()
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
        """Answer the last PING, if there is room for the answer."""
        if self._pong and not self.paused and self.protocol.state is State.OPEN:
            pong, self._pong = self._pong, b""
            self.transport.write(pong)

    def _parse(self) -> None:
        """Parse some of the bytes that were read, and schedule the rest."""
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
        if self.protocol.reader.buffer:  # the beginning of a frame
            self.heard = now
        if self._level <= 0:
            # Wait until a whole turn's frames are allowed: fewer turns cost less.
            wait = (FRAMES - self._level) / RATE
            self._next = self.loop.call_later(wait, self._parse)
        elif self._rest and not self._full:
            self._next = self.loop.call_soon(self._parse)
        self._steer()

    def _steer(self) -> None:
        """Read from the socket only if nothing that was read is left to do."""
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
    """The end that listens."""


class PacedClientConnection(Paced, ClientConnection):
    """The end that connects."""
