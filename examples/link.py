"""A slow link on one machine: a TCP proxy that lets so many bytes per second through.

    async with Link("127.0.0.1", 8700, rate=2000) as link:
        ...  # connect to 127.0.0.1, port link.port

Only the way towards whoever connects is slow, as where a station far away receives pictures.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Self

BUFFER = 4096
"""Bytes that may wait before the link: little, or the sender would not notice that it is slow."""
PIECES_PER_SECOND = 20


class Pace:
    """When bytes have crossed a line that carries ``rate`` of them per second, one by one."""

    def __init__(self, rate: float) -> None:
        if not rate > 0:
            raise ValueError(f"a link carries more than {rate} bytes per second")
        self.rate = rate
        self._free = 0.0

    def crossed(self, nbytes: int, now: float) -> float:
        """Return the time in seconds at which ``nbytes`` handed over at ``now`` are across."""
        self._free = max(self._free, now) + nbytes / self.rate
        return self._free


class Link:
    """Offer what ``host``:``port`` serves on a port of this machine, at ``rate`` bytes/s in all.

    ``clock`` and ``sleep`` are for tests, whose time is not real.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.port = 0
        """Where to connect, once entered."""
        self.carried = 0
        """Bytes let through so far, towards those who connected."""
        self._upstream = (host, port)
        self._pace = Pace(rate)
        self._clock = clock
        self._sleep = sleep
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until both of its ways have ended, or one of them broke."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(_closed, writer)
            try:
                far_reader, far_writer = await self._connect_upstream()
                stack.push_async_callback(_closed, far_writer)
                async with asyncio.TaskGroup() as ways:
                    ways.create_task(self._slowly(far_reader, writer))
                    ways.create_task(_at_once(reader, far_writer))
            except* OSError:
                pass  # an end that vanished, which the other one learns by the closing

    async def _connect_upstream(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        near = socket.socket()
        try:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            near.setblocking(False)
            await asyncio.get_running_loop().sock_connect(near, self._upstream)
            return await asyncio.open_connection(sock=near, limit=BUFFER)
        except BaseException:
            near.close()
            raise

    async def _slowly(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        piece = max(1, min(BUFFER, round(self._pace.rate / PIECES_PER_SECOND)))
        while data := await reader.read(piece):
            due = self._pace.crossed(len(data), self._clock())
            await self._sleep(max(0.0, due - self._clock()))
            writer.write(data)
            self.carried += len(data)
            await writer.drain()
        writer.write_eof()


async def _at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(BUFFER):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
