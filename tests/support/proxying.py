"""A proxy of HTTP and SOCKS 5 that leads everywhere to one port of this machine."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass(slots=True)
class FakeProxy:
    """What it is asked for, and what it answers."""

    to: int
    """The port that it leads to."""
    answer: bytes = b""
    """What it says instead of leading anywhere."""
    asked: list[str] = field(default_factory=list)
    """Requests' first lines, or SOCKS and where to."""
    shown: list[str] = field(default_factory=list)
    """What was in Proxy-Authorization."""
    below: str = ""
    """The path that it leads below, as a reverse proxy; it says 404 elsewhere."""
    port: int = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        first = await reader.readexactly(1)
        if first == b"\x05":
            await self._greet(reader, writer)
            await self._lead(reader, writer, b"")
            return
        head = first + await reader.readuntil(b"\r\n\r\n")
        line, _, fields = head.decode().partition("\r\n")
        self.asked.append(line)
        self.shown += re.findall(r"Proxy-Authorization: (.*)\r\n", fields)
        if self.answer:
            writer.write(self.answer)
        elif self.below:
            method, path, version = line.split(" ")
            if path.startswith(f"{self.below}/"):
                ahead = f"{method} {path.removeprefix(self.below)} {version}\r\n{fields}"
                await self._lead(reader, writer, ahead.encode())
            else:
                writer.write(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
        elif line.startswith("CONNECT "):
            writer.write(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
            await self._lead(reader, writer, b"")
        else:
            method, url, version = line.split(" ")
            path = re.sub("^http://[^/]*", "", url)
            fields = re.sub("Proxy-Authorization: .*\r\n", "", fields)
            ahead = f"{method} {path} {version}\r\n{fields}"
            await self._lead(reader, writer, ahead.encode())

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        [count] = await reader.readexactly(1)
        await reader.readexactly(count)
        writer.write(b"\x05\x00")
        version, command, _, kind = await reader.readexactly(4)
        assert (version, command, kind) == (5, 1, 3)
        [size] = await reader.readexactly(1)
        host = (await reader.readexactly(size)).decode()
        port = int.from_bytes(await reader.readexactly(2))
        self.asked.append(f"SOCKS {host}:{port}")
        writer.write(b"\x05\x00\x00\x01" + bytes(6))

    async def _lead(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ahead: bytes
    ) -> None:
        there, to = await asyncio.open_connection("127.0.0.1", self.to)
        to.write(ahead)
        await asyncio.gather(_copy(reader, to), _copy(there, writer))
        to.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.close()


@asynccontextmanager
async def proxying(to: int, answer: bytes = b"", below: str = "") -> AsyncIterator[FakeProxy]:
    """Serve as a proxy that leads to a port."""
    proxy = FakeProxy(to, answer, below=below)
    tasks = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await proxy(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        proxy.port = server.sockets[0].getsockname()[1]
        yield proxy
    for task in tasks:
        assert task is not None
        await task
