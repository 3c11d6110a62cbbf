"""Messages that leave together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK

from diffc_server.websocket.batched_write import write
from diffc_stream.errors import LinkLost

MESSAGES = [b"a", b"b" * 200, b"c" * 70_000, b""]
PATIENCE = 30.0


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[ServerConnection, ClientConnection]]:
    """Both ends of a connection."""
    accepted: asyncio.Queue[ServerConnection] = asyncio.Queue()

    async def accept(connection: ServerConnection) -> None:
        accepted.put_nowait(connection)
        await connection.wait_closed()

    async with serve(accept, "127.0.0.1", 0, compression=None, write_limit=4096) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", compression=None) as client:
            yield await accepted.get(), client


@pytest.mark.asyncio
async def test_both_ends_write_and_all_of_it_arrives_in_order() -> None:
    async with pair() as ends:
        for sender, receiver in (ends, ends[::-1]):
            writing = asyncio.create_task(write(sender, MESSAGES, patience=PATIENCE))
            assert [await receiver.recv() for _ in MESSAGES] == MESSAGES
            await writing


@pytest.mark.asyncio
async def test_one_write_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    async with pair() as (sender, receiver):
        written: list[bytes] = []
        with monkeypatch.context() as patch:
            patch.setattr(sender, "transport", sender.transport)
            patch.setattr(sender.transport, "write", written.append)
            await write(sender, [b"one", b"two"], patience=PATIENCE)
        assert written == [b"\x82\x03one\x82\x03two"]
        sender.transport.write(written[0])
        assert [await receiver.recv(), await receiver.recv()] == [b"one", b"two"]


@pytest.mark.asyncio
async def test_a_receiver_that_takes_nothing_is_given_up() -> None:
    async with pair() as (sender, receiver):
        receiver.transport.pause_reading()
        with pytest.raises(LinkLost, match="does not read"):
            while True:
                await write(sender, [bytes(2**20)], patience=0.0)
        receiver.transport.abort()


@pytest.mark.asyncio
async def test_a_connection_that_was_closed() -> None:
    async with pair() as (sender, receiver):
        await receiver.close()
        with pytest.raises(ConnectionClosedOK):
            await write(sender, [b"more"], patience=PATIENCE)


@pytest.mark.asyncio
async def test_a_connection_that_breaks_while_it_is_full() -> None:
    async with pair() as (sender, receiver):
        receiver.transport.pause_reading()
        while not sender.paused:
            sender.transport.write(bytes(2**20))
        writing = asyncio.create_task(write(sender, [b"more"], patience=PATIENCE))
        receiver.transport.abort()
        with pytest.raises(ConnectionClosedError):
            while True:
                await writing
                writing = asyncio.create_task(write(sender, [b"more"], patience=PATIENCE))
