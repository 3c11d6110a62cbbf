"""Many receivers on one thread, lean enough that the sender is what is measured.

They speak the protocol over plain sockets, acknowledge seldom, and decode nothing: of what comes
they count and hash payload.  What a receiver does otherwise (checksums, offsets, quality) is left
out on purpose; the daemons' own tests see to that.
"""

from __future__ import annotations

import hashlib
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from diffc_stream.errors import LinkLost
from diffc_stream.session import MAX_WINDOW, SUBPROTOCOL
from diffc_stream.session.coding import decode, encode
from diffc_stream.session.messages import Ack, Data, End, Error, Hello, Open, Welcome

_BLOCK = 262_144
_UPGRADE = (
    "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: c3RyZWFtcyBvZiBieXRlcw==\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
)
_BINARY = 0x82
_CLOSE = 0x88
_CHECK = 4
"""Bytes of checksum after a payload."""
_BOTH: Final = selectors.EVENT_READ | selectors.EVENT_WRITE


@dataclass(slots=True, kw_only=True, eq=False)
class Receiver:
    """One of the crowd."""

    image: str | None
    """What it asks for when it is welcomed; None: nothing."""
    again: bool = False
    """It asks for the same again when it has all of it."""
    rate: float | None = None
    """Bytes per second that it reads, headers included; None: all that comes."""
    reads: int | None = None
    """Bytes of payload after which it reads no more, 0 for none at all; None: it reads all."""
    streams: int = 1
    """Of that picture at once, as if they were different ones."""
    hashed: bool = True
    """Its streams are, to be compared; of several at once they are not."""
    window: int = MAX_WINDOW
    buffer: int | None = None
    """Bytes that the kernel may hold of what was not read; None: what it likes."""

    welcomed: bool = False
    frames: int = 0
    """DATA that came."""
    payload: int = 0
    """Bytes of it."""
    times: list[float] = field(default_factory=list)
    """When each stream was complete."""
    digests: list[str] = field(default_factory=list)
    """SHA-256 of each, if it is ``hashed``."""
    asked: float = 0.0
    """When it asked last."""
    failure: str = ""
    """What went wrong."""

    _socket: socket.socket = field(init=False)
    _pending: bytearray = field(default_factory=bytearray)
    _upgraded: bool = False
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)
    _stream: int = 0
    _acknowledged: int = 0
    _rested: float = 0.0
    """Until when it reads nothing, because of its rate."""

    def open(self, port: int) -> socket.socket:
        """Begin to connect and return the socket."""
        self._socket = socket.socket()
        self._socket.setblocking(False)
        if self.buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.buffer)
        self._socket.connect_ex(("127.0.0.1", port))
        return self._socket

    def close(self) -> None:
        """Leave without a word."""
        self._socket.close()

    def connected(self, port: int) -> None:
        """Say what there is to say first, at once."""
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise LinkLost(f"cannot connect: {os.strerror(error)}")
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.send(_UPGRADE.format(port=port).encode())

    @property
    def stalled(self) -> bool:
        """It reads no more."""
        return self.welcomed and self.reads is not None and self.payload >= self.reads

    @property
    def resting(self) -> float:
        """When it reads again; 0 for now."""
        return self._rested

    def read(self, now: float) -> None:
        """Take what has come."""
        most = _BLOCK if self.rate is None else max(1, int(self.rate / 10))
        data = self._socket.recv(most)
        if not data:
            raise LinkLost("the connection was closed")
        if self.rate is not None:
            self._rested = now + len(data) / self.rate
        self._pending += data
        if not self._upgraded and not self._upgrade():
            return
        self._frames(now)

    def _upgrade(self) -> bool:
        head, end, rest = bytes(self._pending).partition(b"\r\n\r\n")
        if not end:
            return False
        if not head.startswith(b"HTTP/1.1 101 "):
            raise LinkLost(head.partition(b"\r\n")[0].decode())
        self._pending, self._upgraded = bytearray(rest), True
        self._say(encode(Hello(window=self.window, idle=600.0)))
        return True

    def _frames(self, now: float) -> None:
        pending, place, there = bytes(self._pending), 0, len(self._pending)
        while there - place >= 2:
            length, start = pending[place + 1], place + 2
            if length == 126:
                length, start = int.from_bytes(pending[place + 2 : place + 4]), place + 4
            end = start + length
            if start > there or end > there:
                break
            if pending[place] == _BINARY:
                self._take(pending[start:end], now)
            elif pending[place] == _CLOSE:
                raise LinkLost("the sender said goodbye")
            place = end
        self._pending = bytearray(pending[place:])
        # The first one early: until it comes the window is a small one.
        due = self.window // 2 if self._acknowledged else 1
        if self.payload - self._acknowledged >= due:
            self._acknowledged = self.payload
            self._say(encode(Ack(received=self.payload)))

    def _take(self, data: bytes, now: float) -> None:
        if data[0] == Data.kind:
            place = 1
            for _ in ("stream", "offset"):
                while data[place] & 0x80:
                    place += 1
                place += 1
            self.frames += 1
            self.payload += len(data) - place - _CHECK
            if self.hashed and self.streams == 1:
                self._hash.update(data[place:-_CHECK])
            return
        message = decode(data)
        if isinstance(message, Welcome):
            self.welcomed, self.window = True, message.window
            for _ in range(self.streams):
                self._ask(now)
        elif isinstance(message, Error):
            raise LinkLost(f"{message.code}: {message.message}")
        elif isinstance(message, End):
            self.times.append(now)
            self.digests.append(self._hash.hexdigest())
            self._hash = hashlib.sha256()
            if self.again:
                self._ask(now)

    def _ask(self, now: float) -> None:
        if self.image is not None:
            self._stream += 1
            self.asked = now
            self._say(encode(Open(stream=self._stream, image=self.image)))

    def _say(self, message: bytes) -> None:
        # A mask of nothing but zeros leaves the message as it is.
        self._socket.sendall(bytes([_BINARY, 0x80 | len(message)]) + bytes(4) + message)


class Crowd:
    """Receivers of one sender; to be used on one thread."""

    def __init__(self, port: int, receivers: Iterable[Receiver]) -> None:
        """Begin to connect all of them."""
        self.receivers = tuple(receivers)
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._sleeping: list[Receiver] = []
        for receiver in self.receivers:
            self._selector.register(receiver.open(port), _BOTH, receiver)

    def close(self) -> None:
        """Leave."""
        self._selector.close()
        for receiver in self.receivers:
            receiver.close()

    def run(self, done: Callable[[], bool], *, seconds: float) -> bool:
        """Receive until all is ``done``, for so many ``seconds`` at most; tell whether it is."""
        until = time.monotonic() + seconds
        while not done():
            now = time.monotonic()
            if now >= until:
                return False
            self._wake(now)
            for key, events in self._selector.select(0.01 if self._sleeping else 0.1):
                self._serve(key.data, events)
        return True

    def rest(self, seconds: float) -> None:
        """Receive for so long."""
        self.run(lambda: False, seconds=seconds)

    @property
    def failures(self) -> list[str]:
        """What went wrong, once for each receiver that it went wrong for."""
        return [receiver.failure for receiver in self.receivers if receiver.failure]

    @property
    def frames(self) -> int:
        """DATA that came so far."""
        return sum(receiver.frames for receiver in self.receivers)

    @property
    def payload(self) -> int:
        """Bytes of it."""
        return sum(receiver.payload for receiver in self.receivers)

    def _serve(self, receiver: Receiver, events: int) -> None:
        now = time.monotonic()
        try:
            if events & selectors.EVENT_WRITE:
                receiver.connected(self._port)
                self._selector.modify(receiver._socket, selectors.EVENT_READ, receiver)
            elif events & selectors.EVENT_READ:
                receiver.read(now)
                if receiver.stalled:
                    self._selector.unregister(receiver._socket)
                elif receiver.resting > now:
                    self._selector.unregister(receiver._socket)
                    self._sleeping.append(receiver)
        except (OSError, LinkLost) as error:
            receiver.failure = str(error)
            self._selector.unregister(receiver._socket)

    def _wake(self, now: float) -> None:
        for receiver in [one for one in self._sleeping if one.resting <= now]:
            self._sleeping.remove(receiver)
            self._selector.register(receiver._socket, selectors.EVENT_READ, receiver)
