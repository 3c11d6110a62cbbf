"""A page's WebSocket, carried to a sender."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from serving import settled
from websocket_client import dial
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from diffc_client.remote.address import Address
from diffc_client.web import proxy
from diffc_client.web.proxy import ThrottledLink, relay
from diffc_stream.session import SUBPROTOCOL
from diffc_stream.transport.pacing import PacedServerConnection

Handler = Callable[[PacedServerConnection], Awaitable[None]]


def port_of(server: object) -> int:
    port: int = server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    return port


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[int]:
    async with serve(
        handler,  # type: ignore[arg-type]
        "127.0.0.1",
        0,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        compression=None,
        create_connection=PacedServerConnection,
    ) as server:
        yield port_of(server)


@asynccontextmanager
async def carried(
    handler: Handler,
) -> AsyncIterator[tuple[ClientConnection, ThrottledLink, ThrottledLink]]:
    """A page's connection to a sender that does as ``handler`` does."""
    down, up = ThrottledLink(None), ThrottledLink(None)
    async with listening(handler) as port:
        address = Address(scheme="ws", host="127.0.0.1", port=port)

        async def through(page: PacedServerConnection) -> None:
            await relay(page, address, down=down, up=up)

        async with (
            listening(through) as relayed,
            dial(f"ws://127.0.0.1:{relayed}") as page,
        ):
            yield page, down, up


async def echo(sender: PacedServerConnection) -> None:
    async for message in sender:
        await sender.send(message)


@pytest.mark.asyncio
async def test_frames_are_carried_as_they_are() -> None:
    async with carried(echo) as (page, down, up):
        for message in (b"", b"bytes", "text", bytes(125), bytes(126), bytes(16_000)):
            await page.send(message)
            assert await page.recv() == message
    sizes = [2, 7, 6, 127, 130, 16_004]
    assert down.nbytes == sum(sizes)
    assert up.nbytes == sum(sizes) + 4 * len(sizes)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "draining"), (1002, "nonsense"), (4000, "mine")]
)
async def test_the_senders_parting_words_reach_the_page(code: int, reason: str) -> None:
    async with carried(lambda sender: sender.close(code, reason)) as (page, _, _):
        with pytest.raises(ConnectionClosed):
            await page.recv()
        assert (page.close_code, page.close_reason) == (code, reason)


@pytest.mark.asyncio
async def test_a_sender_that_vanishes() -> None:
    async def vanish(sender: PacedServerConnection) -> None:
        sender.transport.abort()

    async with carried(vanish) as (page, _, _):
        with pytest.raises(ConnectionClosed):
            await page.recv()
        assert page.close_code == 1014
        assert page.close_reason == "the connection to the sender was lost"


@pytest.mark.asyncio
@pytest.mark.parametrize("politely", [False, True])
async def test_a_page_that_leaves(politely: bool) -> None:
    left: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def note(sender: PacedServerConnection) -> None:
        await sender.wait_closed()
        left.set_result(sender.close_code)

    async with carried(note) as (page, _, _):
        if politely:
            await page.close(1001)
        else:
            page.transport.abort()
        assert await asyncio.wait_for(left, 10) == (1001 if politely else 1014)


@pytest.mark.asyncio
async def test_a_page_is_told_why_there_is_no_sender() -> None:
    async with listening(echo) as port:
        pass  # nobody is there any more
    address = Address(scheme="ws", host="127.0.0.1", port=port)

    async def through(page: PacedServerConnection) -> None:
        await relay(page, address, down=ThrottledLink(None), up=ThrottledLink(None))

    async with listening(through) as relayed, dial(f"ws://127.0.0.1:{relayed}") as page:
        with pytest.raises(ConnectionClosed):
            await page.recv()
        assert page.close_code == 1014
        assert page.close_reason == f"ws://127.0.0.1:{port} cannot be reached: Connection refused"


@pytest.mark.asyncio
async def test_who_does_not_read_holds_the_sender_back() -> None:
    sent = 0

    async def pour(sender: PacedServerConnection) -> None:
        nonlocal sent
        while True:
            await sender.send(bytes(10_000))
            sent += 1

    async with carried(pour) as (page, _, _):
        seen = -1
        async with asyncio.timeout(60):
            while seen != sent or not sent:
                seen = sent
                # Long enough for whatever can still move on the loopback.
                for _ in range(2000):
                    await asyncio.sleep(0)
        assert sent < 3000  # what systems hold for sockets
        page.transport.abort()


@pytest.mark.asyncio
async def test_who_never_reads_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "PATIENCE", 0.01)
    given_up = asyncio.Event()

    async def pour(sender: PacedServerConnection) -> None:
        try:
            while True:
                await sender.send(bytes(10_000))
        except ConnectionClosed:
            given_up.set()

    async with carried(pour) as (page, _, _):
        await asyncio.wait_for(given_up.wait(), 20)
        page.transport.abort()


@pytest.mark.asyncio
async def test_nothing_crosses_for_a_page_that_has_gone() -> None:
    over = asyncio.Event()
    down = ThrottledLink(0.01)
    async with listening(echo) as port:
        address = Address(scheme="ws", host="127.0.0.1", port=port)

        async def through(page: PacedServerConnection) -> None:
            await relay(page, address, down=down, up=ThrottledLink(None))
            over.set()

        async with listening(through) as relayed, dial(f"ws://127.0.0.1:{relayed}") as page:
            await page.send(b"hello")
            await settled(lambda: down._free > 0)
            await page.close()
            await asyncio.wait_for(over.wait(), 20)
    assert down.nbytes == 0


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_a_line_carries_what_comes_one_after_the_other() -> None:
    clock = asyncio.get_running_loop().time
    line, start = ThrottledLink(1000.0), clock()
    await line.cross(500)
    assert clock() - start == pytest.approx(0.5)
    await asyncio.gather(line.cross(100), line.cross(200))
    assert clock() - start == pytest.approx(0.8)
    await asyncio.sleep(5)
    await line.cross(1000)  # what was not used is lost
    assert clock() - start == pytest.approx(6.8)
    assert line.nbytes == 1800
    await ThrottledLink(None).cross(10**9)
    assert clock() - start == pytest.approx(6.8)


def test_reasons_fit_into_a_frame() -> None:
    assert proxy._fit("ä" * 100) == "ä" * 61
