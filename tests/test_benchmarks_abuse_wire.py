"""Connections by hand keep to the rules of WebSockets where an honest receiver does."""

from __future__ import annotations

import asyncio

import pytest

from diffc_benchmarks.abuse_wire import BINARY, PING, PONG, Front, Wire, frame
from diffc_stream.session import List, encode

FIN = 0x80


@pytest.mark.asyncio
async def test_a_ping_is_answered_before_the_next_message() -> None:
    answered = asyncio.get_running_loop().create_future()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes([FIN | PING, 4]) + b"page")
        message = encode(List())
        writer.write(bytes([FIN | BINARY, len(message)]) + message)
        ends.append(writer)
        reading.append(asyncio.create_task(answer(reader)))

    async def answer(reader: asyncio.StreamReader) -> None:
        answered.set_result(await reader.readexactly(len(frame(b"page", PONG))))

    ends: list[asyncio.StreamWriter] = []
    reading: list[asyncio.Task[None]] = []
    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        front = Front(port=server.sockets[0].getsockname()[1], ca="")
        wire = await Wire.dial(front, secure=False)
        assert await wire.hear() == List()
        assert await answered == frame(b"page", PONG)
        wire.close()
        ends[0].transport.abort()
        await reading[0]
