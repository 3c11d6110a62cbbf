"""A server of files, ranges of which a client fetches."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from fakes import HEIGHT, WIDTH, FakeDecoders, stream_of

import diffc_client
from diffc_client import MemoryStream, Sender
from diffc_stream.session import MAX_STREAM, Reason, Terms

LENGTH = 100_000
STREAM = stream_of("a.png", LENGTH)
PIXELS = WIDTH * HEIGHT


@dataclass(slots=True)
class Store:
    """A server of files such as object stores are, and what it can get wrong."""

    files: dict[str, bytes] = field(default_factory=lambda: {"a.png.dfc": STREAM})
    ranges: bool = True
    total: bool = True
    """Says how long files are."""
    length: bool = True
    """Says how long its answers are."""
    chunk: int = 0
    """Size of chunks, if answers come in chunks."""
    keep: bool = True
    """Keeps connections."""
    most: int = MAX_STREAM
    """Bytes of a range."""
    drop: int | None = None
    """Byte of a file after which the connection breaks, once."""
    tag: Callable[[bytes], str | None] = lambda _: '"1"'
    status: list[str] = field(default_factory=list)
    """What to answer instead, first."""
    asked: list[str] = field(default_factory=list)
    """Ranges asked for."""
    connections: int = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        while await self._exchange(reader, writer) and self.keep:
            pass

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = request.strip().split("\r\n")
        name = line.split(" ")[1].removeprefix("/")
        assert line == f"GET /{name} HTTP/1.1"
        [span] = re.findall(r"Range: bytes=([0-9]+-[0-9]+)", request)
        assert any(field.startswith("Host: 127.0.0.1:") for field in fields)
        self.asked.append(span)
        if self.status:
            writer.write(self.status.pop(0).encode())
            return False
        if name not in self.files:
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return True
        data = self.files[name]
        first, last = (int(number) for number in span.split("-"))
        head = ["HTTP/1.1 200 OK"]
        body, place = data, 0
        if self.ranges and first >= len(data):
            head, body = ["HTTP/1.1 416 No", f"Content-Range: bytes */{len(data)}"], b""
        elif self.ranges:
            place = first
            body = data[first : min(last + 1, first + self.most)]
            total = len(data) if self.total else "*"
            head = ["HTTP/1.1 206 Partial"]
            head += [f"Content-Range: bytes {first}-{first + len(body) - 1}/{total}"]
        if (tag := self.tag(data)) is not None:
            head.append(f"ETag: {tag}")
        return await self._send(writer, head, body, place)

    async def _send(
        self, writer: asyncio.StreamWriter, head: list[str], body: bytes, place: int
    ) -> bool:
        if self.chunk:
            head.append("Transfer-Encoding: chunked")
        elif self.length:
            head.append(f"Content-Length: {len(body)}")
        if not self.keep:
            head.append("Connection: close")
        writer.write("\r\n".join([*head, "", ""]).encode())
        if self.drop is not None and self.drop < place + len(body):
            cut = body[: self.drop - place]
            writer.write(b"%x\r\n%b" % (len(cut) + 1, cut) if self.chunk else cut)
            self.drop = None
            return False
        if self.chunk:
            pieces = [body[i : i + self.chunk] for i in range(0, len(body), self.chunk)]
            body = b"".join(b"%x;x=y\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
            body += b"0\r\nExpires: never\r\n\r\n"
        writer.write(body)
        await writer.drain()
        return self.length


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def offering(handler: Handler) -> AsyncIterator[str]:
    """Serve, and give the address."""
    connections = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    try:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        for connection in connections:
            assert connection is not None
            await connection


@asynccontextmanager
async def visiting(url: str, *, idle: float = 60.0) -> AsyncIterator[Sender]:
    async with diffc_client.connect(
        url, decoders=FakeDecoders(), patience=0.0, terms=Terms(idle=idle)
    ) as sender:
        yield sender


async def received(store: Store, kept: MemoryStream, **target: float) -> Reason:
    async with offering(store) as url, visiting(url) as sender:
        return await sender.receive("a.png.dfc", kept, **target)  # type: ignore[arg-type]


def holding(data: bytes) -> MemoryStream:
    kept = MemoryStream()
    kept.append(data)
    return kept


STORES = {
    "as it should be": Store(),
    "no ranges": Store(ranges=False),
    "no ranges, no length": Store(ranges=False, length=False),
    "no ranges, chunks": Store(ranges=False, chunk=777),
    "chunks": Store(chunk=300),
    "closes": Store(keep=False),
    "no total": Store(total=False),
    "no tag": Store(tag=lambda _: None),
    "short ranges": Store(most=500),
    "until it closes": Store(length=False),
}
