"""A connection of somebody who keeps to no rules: TCP, TLS, HTTP and WebSocket frames by hand.

Whoever wants to leave answers unread, to stop in the middle of a handshake or to vanish without a
word cannot have a library that knows better.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

from diffc_stream.errors import LinkLost
from diffc_stream.session import SUBPROTOCOL, Message, decode, encode

PATIENCE = 30.0
"""Seconds that anything may take."""
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
"""Kinds of WebSocket frames."""
LONGEST_HEAD = 65_536
MOST_BODY = 2**26

_FIN, _MASKED = 0x80, 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """A daemon, as those see it who come from outside."""

    port: int
    """Of the loopback."""
    ca: str
    """File of who vouches for it."""
    tokens: dict[str, str] = field(default_factory=dict, repr=False)
    """By the name of whoever has it."""
    pushed: bool = False
    """It is senders that dial it, not receivers."""


class Wire:
    """One connection; made with :meth:`dial`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def dial(
        cls, front: Front, *, source: str = "", buffer: int = 0, secure: bool = True
    ) -> Self:
        """Connect, from the address ``source`` of the loopback if it is given.

        ``buffer``: bytes that this end and the kernel may each hold of what is not read, about.
        Not ``secure``: no TLS, though the daemon speaks nothing else.  Raises OSError.
        """
        plain = socket.socket()
        plain.setblocking(False)
        try:
            if buffer:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            if source:
                plain.bind((source, 0))
            async with asyncio.timeout(PATIENCE):
                await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", front.port))
        except BaseException:
            plain.close()
            raise
        async with asyncio.timeout(PATIENCE):
            # From here on the socket is the transport's to close.
            reader, writer = await asyncio.open_connection(
                sock=plain,
                limit=buffer or LONGEST_HEAD,
                ssl=_believing(front.ca) if secure else None,
                server_hostname="localhost" if secure else None,
            )
        return cls(reader, writer)

    async def request(self, front: Front, path: str, *lines: str, method: str = "GET") -> None:
        """Send an HTTP request with these lines in its head."""
        head = [f"{method} {path} HTTP/1.1", f"Host: localhost:{front.port}", *lines]
        await self.send("".join(f"{line}\r\n" for line in (*head, "")).encode())

    async def upgrade(self, front: Front, token: str, protocol: str = SUBPROTOCOL) -> None:
        """Make it a WebSocket.  Raises LinkLost if the daemon does not like that."""
        await self.request(
            front,
            "/",
            *("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
            *("Sec-WebSocket-Key: c3RyZWFtcyBvZiBieXRlcw==", f"Authorization: Bearer {token}"),
            f"Sec-WebSocket-Protocol: {protocol}",
        )
        status = (await self.head()).partition("\r\n")[0]
        if not status.startswith("HTTP/1.1 101 "):
            raise LinkLost(status)

    async def head(self) -> str:
        """Return the head of an answer."""
        async with asyncio.timeout(PATIENCE):
            head = await self._reader.readuntil(b"\r\n\r\n")
        return head.decode("latin-1")

    async def answer(self) -> tuple[str, bytes]:
        """Return the status line of an answer, and as much of a body as it says that there is."""
        head = await self.head()
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        size = min(int(fields.get("content-length", 0)), MOST_BODY)
        async with asyncio.timeout(PATIENCE):
            return head.partition("\r\n")[0], await self._reader.readexactly(size)

    async def say(self, *messages: Message) -> None:
        """Send messages of the protocol."""
        await self.send(b"".join(frame(encode(message)) for message in messages))

    async def send(self, data: bytes) -> None:
        """Send bytes, and wait until the daemon takes most of them."""
        self._writer.write(data)
        async with asyncio.timeout(PATIENCE):
            await self._writer.drain()

    async def hear(self) -> Message:
        """Return the next message of the protocol, and answer PINGs until it comes.

        Raises LinkLost if there is none.
        """
        async with asyncio.timeout(PATIENCE):
            while True:
                opcode, size = await self._reader.readexactly(2)
                if size == 126:
                    [size] = struct.unpack(">H", await self._reader.readexactly(2))
                payload = await self._reader.readexactly(size)
                if opcode & 0x0F == CLOSE:
                    raise LinkLost(f"the daemon said goodbye: {payload[2:].decode()}")
                if opcode & 0x0F == PING:
                    # A sender waits for the answer before it sends more of a long catalogue.
                    await self.send(frame(payload, PONG))
                if opcode & 0x0F == BINARY:
                    return decode(payload)

    async def gone(self, seconds: float) -> bool:
        """Read what comes, and tell whether the daemon hung up within so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                while await self._reader.read(LONGEST_HEAD):
                    pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True

    def reset(self) -> None:
        """Leave as if the machine had lost its power: the daemon gets RST."""
        plain = self._writer.get_extra_info("socket")
        if plain is not None and plain.fileno() >= 0:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Leave without a word."""
        self._writer.transport.abort()


def frame(payload: bytes, opcode: int = BINARY, *, fin: bool = True) -> bytes:
    """Return a WebSocket frame, of 65,535 bytes of payload at most.

    Its mask is nothing but zeros, and leaves the payload as it is.
    """
    size = len(payload)
    length = bytes([_MASKED | size]) if size < 126 else struct.pack(">BH", _MASKED | 126, size)
    return bytes([opcode | (_FIN if fin else 0)]) + length + bytes(4) + payload


@lru_cache(4)
def _believing(ca: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca)
