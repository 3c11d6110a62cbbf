"""What a peer may have a connection do between two turns of others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.server import serve
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from diffc_stream.transport.pacing import (
    BURST,
    EARNING,
    FRAMES,
    PIECE,
    RATE,
    READ,
    Paced,
    PacedServerConnection,
)
from diffc_stream.transport.websocket import connect

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]

LIMIT = 4096
"""Bytes that may wait to be written before a connection is told."""


class Wire(asyncio.Transport):
    """A transport that notes what it is told; what is written stays until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = True
        self.written = bytearray()
        self.protocol: Paced | None = None

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: Any) -> None:
        assert self.protocol is not None
        self.written += data
        if len(self.written) > LIMIT and not self.protocol.paused:
            self.protocol.pause_writing()

    def take(self) -> bytes:
        """Take all that was written."""
        assert self.protocol is not None
        data = bytes(self.written)
        self.written.clear()
        if self.protocol.paused:
            self.protocol.resume_writing()
        return data

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass


def opened(*, server: bool = False) -> tuple[Paced, Wire]:
    """Return a connection that is open, and what it is connected to."""
    protocol = Protocol(Side.SERVER if server else Side.CLIENT)
    connection = Paced(protocol, ping_interval=None, max_queue=8, write_limit=LIMIT)
    wire = Wire()
    wire.protocol = connection
    connection.connection_made(wire)
    return connection, wire


def frame(opcode: Opcode, data: bytes = b"", *, fin: bool = True, mask: bool = False) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=mask)


KINDS = {
    "empty messages": (frame(Opcode.BINARY), frame(Opcode.BINARY, mask=True)),
    "PINGs": (frame(Opcode.PING), frame(Opcode.PING, mask=True)),
    "long PINGs": (frame(Opcode.PING, b"x" * 125), frame(Opcode.PING, b"x" * 125, mask=True)),
    "PONGs": (frame(Opcode.PONG), frame(Opcode.PONG, mask=True)),
    "messages of three bytes": (
        frame(Opcode.BINARY, b"\x0a\x91\xc0"),
        frame(Opcode.BINARY, b"\x0a\x91\xc0", mask=True),
    ),
}


@pytest.mark.parametrize("server", [False, True])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_flood_leaves_turns_to_others(kind: str, server: bool) -> None:
    connection, wire = opened(server=server)
    one = KINDS[kind][server]
    loop = asyncio.get_running_loop()
    began, taken, most, given = loop.time(), [0], 0, 0

    async def take() -> None:
        async for _ in connection:
            taken[0] += 1

    taking = asyncio.create_task(take())
    while connection._level > 0:
        if wire.reading:
            read = READ // len(one)
            given += read
            connection.data_received(one * read)
        before, frames = taken[0], connection._frames
        await asyncio.sleep(0)
        # What was parsed in this turn, and what the program was given in it.
        most = max(most, taken[0] - before, frames)
    assert most <= FRAMES + PIECE // len(one) + 8
    # What is read in advance is little, and after the burst so many a second are seen to.
    while connection._rest:  # noqa: ASYNC110
        await asyncio.sleep(1)
    seconds = loop.time() - began
    assert given == pytest.approx(BURST + RATE * seconds, abs=READ / len(one) + RATE)
    assert len(wire.written) <= LIMIT + 2 * 127 * 2
    taking.cancel()


async def test_a_fragmented_message_without_end_is_no_way_round() -> None:
    connection, wire = opened(server=True)
    receiving = asyncio.create_task(connection.recv())
    connection.data_received(frame(Opcode.BINARY, fin=False, mask=True))
    for _ in range(1000):
        await asyncio.sleep(0)
        if wire.reading:
            connection.data_received(frame(Opcode.CONT, fin=False, mask=True) * 500)
    assert len(connection.recv_messages.frames) <= FRAMES + PIECE // 6 + 8
    assert not wire.reading
    receiving.cancel()


async def test_pictures_are_reason_enough_for_frames() -> None:
    connection, _ = opened(server=True)
    loop = asyncio.get_running_loop()
    began = loop.time()
    acknowledgement = frame(Opcode.BINARY, b"\x06\x91\xcd\x10\x00", mask=True)
    for _ in range(2 * int(BURST)):
        connection.earn(EARNING)
        connection.data_received(acknowledgement)
        assert await connection.recv()
    assert loop.time() == began


async def test_work_is_charged_for() -> None:
    connection, wire = opened(server=True)
    loop = asyncio.get_running_loop()
    connection.charge(BURST + 2 * RATE)
    began = loop.time()
    connection.data_received(frame(Opcode.BINARY, b"later", mask=True))
    assert not wire.reading
    assert await connection.recv() == b"later"
    assert loop.time() - began == pytest.approx(2 + FRAMES / RATE)
    assert wire.reading


@pytest.mark.parametrize("server", [False, True])
async def test_unread_pongs_are_one_pong(server: bool) -> None:
    connection, wire = opened(server=server)
    for number in range(4000):
        ping = frame(Opcode.PING, b"%0125d" % number, mask=server)
        connection.earn(EARNING)
        connection.data_received(ping)
    assert len(wire.written) <= LIMIT + 131
    wire.take()
    # The last is answered as soon as there is room.
    answer = wire.take()
    assert answer[:1] == b"\x8a"
    if server:
        assert answer[2:] == b"%0125d" % 3999


async def test_every_ping_of_a_peer_that_waits_is_answered() -> None:
    connection, wire = opened(server=True)
    for number in range(20):
        connection.data_received(frame(Opcode.PING, b"%d" % number, mask=True))
        assert wire.take()[2:] == b"%d" % number


async def test_nothing_is_read_while_messages_wait() -> None:
    connection, wire = opened(server=True)
    connection.data_received(frame(Opcode.BINARY, b"x", mask=True) * 2000)
    for _ in range(100):
        await asyncio.sleep(0.1)
    assert not wire.reading
    assert len(connection.recv_messages.frames) <= FRAMES + PIECE // 7 + 8
    for _ in range(2000):
        assert await connection.recv() == b"x"
    await asyncio.sleep(1)
    assert wire.reading


async def test_a_connection_that_is_lost_forgets_the_rest() -> None:
    connection, _ = opened(server=True)
    connection.data_received(frame(Opcode.PING, mask=True) * 10_000)
    connection.connection_lost(None)
    assert (connection._rest, connection._next) == (b"", None)
    await asyncio.sleep(1)


async def test_large_messages_come_whole() -> None:
    async def echo(connection: Any) -> None:
        async for message in connection:
            await connection.send(message)

    async with (
        serve(
            echo, "127.0.0.1", 0, compression=None, create_connection=PacedServerConnection
        ) as server,
        await connect(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client,
    ):
        for size in (0, 1, 511, 512, 513, 16_383, 16_384):
            await client.send(bytes(size))
            assert await client.recv() == bytes(size)


async def test_who_leaves_at_once_is_heard_out() -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def listen(connection: Any) -> None:
        async for message in connection:
            heard.put_nowait(message)
        heard.put_nowait(None)

    async with serve(
        listen, "127.0.0.1", 0, compression=None, create_connection=PacedServerConnection
    ) as server:
        uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with await connect(uri) as client:
            client.transport.write(frame(Opcode.BINARY, b"x", mask=True) * 1500)
        assert [await heard.get() for _ in range(1501)] == [b"x"] * 1500 + [None]


async def test_bytes_of_messages_are_heard_and_pongs_are_not() -> None:
    connection, _ = opened()
    loop = asyncio.get_running_loop()
    began = connection.heard
    for data, heard in (
        (frame(Opcode.PONG), False),
        (frame(Opcode.PING), False),
        (frame(Opcode.BINARY, bytes(100))[:50], True),
        (frame(Opcode.BINARY, bytes(100))[50:], True),
        (frame(Opcode.BINARY, b"x", fin=False), True),
    ):
        await asyncio.sleep(1)
        connection.data_received(data)
        assert (connection.heard == loop.time()) is heard
    assert connection.heard > began
