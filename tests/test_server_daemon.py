"""The sender daemon against receivers that do not behave."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from fakes import FakeOpener, stream_of
from serving import pictures, serving, settled
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from diffc_stream.session import (
    SUBPROTOCOL,
    Ack,
    Alive,
    Code,
    Data,
    End,
    Error,
    Hello,
    List,
    Message,
    Open,
    Reason,
    Stop,
    Terms,
    Welcome,
    decode,
    encode,
)

HELLO = encode(Hello(window=1024, idle=60.0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


def dial(url: str, subprotocol: str = SUBPROTOCOL, origin: str | None = None) -> connect:
    return connect(
        url,
        subprotocols=[Subprotocol(subprotocol)],
        origin=Origin(origin) if origin else None,
        proxy=None,
    )


async def heard(websocket: ClientConnection) -> Message:
    data = await websocket.recv()
    assert isinstance(data, bytes)
    return decode(data)


async def everything(websocket: ClientConnection) -> list[Message]:
    messages = []
    try:
        while True:
            messages.append(await heard(websocket))
    except ConnectionClosed:
        return messages


@pytest.mark.asyncio
@pytest.mark.parametrize("token", ["diffc-stream.v2", "chat"])
async def test_another_version_is_refused_over_http(folder: Path, token: str) -> None:
    async with serving(folder) as daemon:
        with pytest.raises(InvalidStatus) as caught:
            await dial(daemon.url, token)
        assert caught.value.response.status_code == 400
        with pytest.raises(InvalidStatus):
            await connect(daemon.url, proxy=None)
        async with dial(daemon.url):
            pass


@pytest.mark.asyncio
async def test_pages_in_browsers_are_refused(folder: Path) -> None:
    async with serving(folder) as daemon:
        with pytest.raises(InvalidStatus) as caught:
            await dial(daemon.url, origin="https://example.org")
        assert caught.value.response.status_code == 403


@pytest.mark.asyncio
async def test_the_handshake_of_sessions(folder: Path) -> None:
    async with serving(folder) as daemon, dial(daemon.url) as websocket:
        await websocket.send(HELLO)
        welcome = await heard(websocket)
        assert isinstance(welcome, Welcome)
        assert (welcome.window, welcome.models) == (1024, ("0f0f0f0f",))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\xff",
        "text",
        encode(Alive()),
        encode(List()) + b"\0",
        bytes([Open.kind]) + b"\x91" * 5000,
        encode(Data(stream=1, offset=0, payload=b"x")),
        encode(Ack(received=5)),
    ],
    ids=["empty", "type", "text", "order", "tail", "nested", "data", "ack"],
)
@pytest.mark.parametrize("greeted", [False, True])
async def test_junk_ends_one_connection_and_no_other(
    folder: Path, junk: bytes | str, greeted: bool
) -> None:
    if greeted and junk == encode(Alive()):
        return
    async with serving(folder) as daemon, dial(daemon.url) as good, dial(daemon.url) as bad:
        if greeted:
            await bad.send(HELLO)
            await heard(bad)
        await bad.send(junk)
        [last] = await everything(bad)
        assert isinstance(last, Error)
        assert (last.stream, last.code) == (0, Code.PROTOCOL)
        assert bad.close_code == 1002
        await good.send(HELLO)
        assert isinstance(await heard(good), Welcome)


@pytest.mark.asyncio
async def test_an_oversized_message(folder: Path) -> None:
    async with serving(folder) as daemon, dial(daemon.url) as websocket:
        await websocket.send(bytes(20_000))
        assert await everything(websocket) == []
        assert websocket.close_code == 1009


@pytest.mark.asyncio
async def test_a_receiver_that_does_not_acknowledge_gets_one_window(folder: Path) -> None:
    opener = FakeOpener(length=100_000)
    async with serving(folder, opener) as daemon, dial(daemon.url) as websocket:
        await websocket.send(HELLO)
        await websocket.send(encode(Open(stream=1, image="a.png")))
        await heard(websocket)
        got = b""
        while len(got) < 1024 - 128:  # a sliver of credit is not worth a frame
            data = await heard(websocket)
            assert isinstance(data, Data)
            got += data.payload
        await websocket.send(encode(List()))
        assert not isinstance(await heard(websocket), Data)
        assert got == stream_of("a.png", len(got))
        assert len(got) <= 1100
        # Beyond that only the look-ahead is computed.
        assert opener.computed["a.png"] < 10_000


@pytest.mark.asyncio
async def test_stop_is_answered_with_the_end(folder: Path) -> None:
    async with serving(folder) as daemon, dial(daemon.url) as websocket:
        await websocket.send(HELLO)
        await websocket.send(encode(Open(stream=1, image="a.png")))
        await websocket.send(encode(Stop(stream=1)))
        message = await heard(websocket)
        while not isinstance(message, End):
            message = await heard(websocket)
        assert message.reason is Reason.STOPPED
        assert message.length <= 1100


@pytest.mark.asyncio
async def test_a_silent_connection_is_closed(folder: Path) -> None:
    async with (
        serving(folder, terms=Terms(greeting=0.01)) as daemon,
        dial(daemon.url) as websocket,
    ):
        assert [type(message) for message in await everything(websocket)] == [Error]
    async with (
        serving(folder, terms=Terms(idle=0.01)) as daemon,
        dial(daemon.url) as websocket,
    ):
        await websocket.send(HELLO)
        messages = await everything(websocket)
        assert isinstance(messages[-1], Error)
        assert messages[-1].code == Code.TIMEOUT


@pytest.mark.asyncio
async def test_draining_says_so_and_closes_with_1001(folder: Path) -> None:
    gate = threading.Semaphore(2)
    async with serving(folder, FakeOpener(gate=gate)) as daemon, dial(daemon.url) as websocket:
        await websocket.send(HELLO)
        await websocket.send(encode(Open(stream=1, image="a.png")))
        while not isinstance(await heard(websocket), Data):
            pass
        draining = asyncio.create_task(daemon.drain())
        messages = await everything(websocket)
        await draining
        gate.release(100)
    assert isinstance(messages[-1], End)
    assert messages[-1].reason is Reason.DRAINING
    assert websocket.close_code == 1001


@pytest.mark.asyncio
async def test_connections_that_break_are_forgotten(folder: Path) -> None:
    async with serving(folder, FakeOpener(length=50_000)) as daemon:
        for _ in range(20):
            websocket = await dial(daemon.url)
            await websocket.send(HELLO)
            await websocket.send(encode(Open(stream=1, image="a.png")))
            await heard(websocket)
            websocket.transport.abort()
        await settled(lambda: daemon.connections == 0)
        assert all(stream.idle for stream in daemon._pipeline._streams.values())


@pytest.mark.asyncio
async def test_too_many_receivers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffc_server.daemon.MOST_CONNECTIONS", 1)
    async with serving(folder) as daemon:
        async with dial(daemon.url):
            await settled(lambda: daemon.connections == 1)
            with pytest.raises(InvalidStatus) as caught:
                await dial(daemon.url)
            assert caught.value.response.status_code == 503
        await settled(lambda: daemon.connections == 0)
        async with dial(daemon.url):
            pass


@pytest.mark.asyncio
async def test_frames_are_neither_slivers_nor_slabs(folder: Path) -> None:
    opener = FakeOpener(length=6000, piece=30)
    async with serving(folder, opener) as daemon, dial(daemon.url) as websocket:
        await websocket.send(encode(Hello(window=8192, idle=60.0)))
        await websocket.send(encode(Open(stream=1, image="a.png")))
        sizes = []
        while not isinstance(message := await heard(websocket), End):
            if isinstance(message, Data):
                sizes.append(len(message.payload))
                await websocket.send(encode(Ack(received=sum(sizes))))
        assert sum(sizes) == 6000
        assert sizes[0] <= 256
        assert all(200 <= size <= 1100 for size in sizes[1:-1])
