"""A server of a few lines behind a bad link, and its clients."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from diffc_stream.transport.impaired_link import Link

SENT = bytes(range(256)) * 40
FOREVER = 1e6
"""Seconds, and virtual ones."""

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Upstream:
    """A server that sends ``sent`` to whoever connects, and knows what became of it."""

    def __init__(self, sent: bytes, buffer: int | None) -> None:
        self.port = 0
        self.said = 0
        """Bytes of ``sent`` that the operating system took."""
        self.told: asyncio.Queue[bytes | OSError] = asyncio.Queue()
        """What each connection was told, once it has ended, or how it failed."""
        self._sent = sent
        self._buffer = buffer

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._talk(writer))
            try:
                self.told.put_nowait(await reader.read())
            except OSError as error:
                self.told.put_nowait(error)

    async def _talk(self, writer: asyncio.StreamWriter) -> None:
        if self._buffer is not None:
            writer.transport.set_write_buffer_limits(0)
            used: socket.socket = writer.get_extra_info("socket")
            used.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._buffer)
        with suppress(OSError):
            for start in range(0, len(self._sent), 512):
                writer.write(self._sent[start : start + 512])
                await writer.drain()
                self.said += 512
            writer.write_eof()


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[int]:
    """Serve by ``handler`` on the port that this yields, and leave no connection behind."""
    handling: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handling.add(asyncio.create_task(handle(reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for task in handling:
            task.cancel()
        await asyncio.gather(*handling, return_exceptions=True)


@asynccontextmanager
async def upstream(sent: bytes = SENT, buffer: int | None = None) -> AsyncIterator[Upstream]:
    made = Upstream(sent, buffer)
    async with listening(made.serve) as made.port:
        yield made


@asynccontextmanager
async def dialled(link: Link) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def fetched(link: Link) -> bytes:
    """All that comes over a connection until it is closed."""
    async with dialled(link) as (reader, _):
        return await reader.read()


def now() -> float:
    return asyncio.get_running_loop().time()
