"""The sender daemon against receivers that do not behave."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from pathlib import Path

import pytest
from fakes import FakeDecoders, FakeOpener, stream_of
from serving import pictures, serving, settled
from websocket_client import HELLO, dial, everything, heard
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

import diffc_client
from diffc_client import MemoryStream
from diffc_server import Pipeline
from diffc_server.auth.access_control import AccessControl
from diffc_server.auth.limits import Limits
from diffc_server.daemon import ListenOptions, ListenSettings
from diffc_stream.session import (
    Ack,
    Alive,
    Code,
    Data,
    End,
    Error,
    Goaway,
    Hello,
    List,
    Open,
    Reason,
    Stop,
    Terms,
    Welcome,
    encode,
)
from diffc_stream.session import Catalogue as Page


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


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
@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ("https://example.org:8080", "diffc-server --origin https://example.org:8080"),
        ("null", "pages without a site"),
        ("https://x/;y", "pages without a site"),
    ],
)
async def test_pages_in_browsers_are_refused_and_told_what_lets_them_in(
    folder: Path, origin: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(folder) as daemon:
        with pytest.raises(InvalidStatus) as caught:
            await dial(daemon.url, origin=origin)
        assert caught.value.response.status_code == 403
        assert words in caught.value.response.body.decode()
        assert words in caplog.text


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
        assert all(stream.idle for stream in daemon._pipeline._held)


@pytest.mark.asyncio
async def test_too_many_receivers(folder: Path) -> None:
    async with serving(folder, connections=1) as daemon:
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


@pytest.mark.asyncio
async def test_who_is_leaving_says_within_what_time_to_come_back(folder: Path) -> None:
    gate = threading.Semaphore(2)
    async with serving(folder, FakeOpener(gate=gate)) as daemon, dial(daemon.url) as websocket:
        await websocket.send(HELLO)
        await websocket.send(encode(Open(stream=1, image="a.png")))
        await websocket.send(encode(Open(stream=2, image="b.png")))
        while not isinstance(await heard(websocket), Data):
            pass
        draining = asyncio.create_task(daemon.drain())
        messages = [m for m in await everything(websocket) if not isinstance(m, Data)]
        await draining
        gate.release(100)
    goaway, *ends = messages
    assert isinstance(goaway, Goaway)
    assert goaway.wait > 0
    assert [(e.stream, e.reason) for e in ends if isinstance(e, End)] == [
        (1, Reason.DRAINING),
        (2, Reason.DRAINING),
    ]


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_what_is_too_much_waits_and_nothing_is_lost(folder: Path) -> None:
    """Connections of one visitor share the bytes that it may have a second."""
    limits = Limits(bytes_per_second=1000.0)
    clock = asyncio.get_running_loop().time
    reception = AccessControl(limits=limits, clock=clock)
    opener = FakeOpener(length=20_000)
    async with serving(folder, opener, reception=reception) as daemon:
        began = clock()

        async def receive(name: str) -> tuple[bytes, float]:
            async with diffc_client.connect(daemon.url, decoders=FakeDecoders()) as sender:
                kept = MemoryStream()
                await sender.receive(name, kept)
                return kept.read(), clock() - began

        (one, first), (two, second) = await asyncio.gather(receive("a.png"), receive("b.png"))
        assert (one, two) == (stream_of("a.png", 20_000), stream_of("b.png", 20_000))
        # 40,000 bytes, 4,096 of which may go at once, and a frame may be owed.
        assert 30 < max(first, second) < 45
        assert min(first, second) > 15


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_a_stop_is_heard_while_bytes_wait(folder: Path) -> None:
    limits = Limits(bytes_per_second=10.0)
    reception = AccessControl(limits=limits, clock=asyncio.get_running_loop().time)
    async with serving(folder, reception=reception) as daemon, dial(daemon.url) as websocket:
        await websocket.send(encode(Hello(window=8192, idle=60.0)))
        await websocket.send(encode(Open(stream=1, image="a.png")))
        while not isinstance(await heard(websocket), Data):
            pass
        await websocket.send(encode(Stop(stream=1)))
        message = await heard(websocket)
        while not isinstance(message, End):
            message = await heard(websocket)
        assert message.reason is Reason.STOPPED


@pytest.mark.asyncio
async def test_nothing_is_prepared_for_who_has_said_stop(folder: Path) -> None:
    """Nor does it keep a place in the line."""
    gate = threading.Semaphore(2)
    opener = FakeOpener(gate=gate)
    pipeline = Pipeline(opener, slots=1)
    async with serving(folder, pipeline=pipeline) as daemon, dial(daemon.url) as websocket:
        await websocket.send(HELLO)
        await websocket.send(encode(Open(stream=1, image="a.png")))
        while not isinstance(await heard(websocket), Data):
            pass
        for stream in range(2, 100):
            await websocket.send(encode(Open(stream=stream, image="b.png")))
            if stream == 2:
                await settled(lambda: pipeline.slots.waiting == 1)
            await websocket.send(encode(Stop(stream=stream)))
            while not isinstance(await heard(websocket), End):
                pass
        [conversation] = daemon._receivers
        await settled(lambda: not pipeline.slots.waiting)
        assert list(conversation._requested) == [1]
        gate.release(100)
    assert "b.png" not in opener.opened


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_who_is_dismissed_and_takes_nothing_is_cut_off(folder: Path) -> None:
    async with serving(folder) as daemon, dial(daemon.url) as websocket:
        await websocket.send(HELLO)
        await heard(websocket)
        [conversation] = daemon._receivers
        conversation._websocket.pause_writing()  # as when a link is full
        await websocket.send(encode(List()))
        await asyncio.sleep(1.0)
        conversation.dismiss()
        await asyncio.sleep(10.0)
        assert not daemon.connections


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_catalogues_are_paid_for_too(folder: Path) -> None:
    for number in range(500):
        (folder / f"{number:0200}.png").touch()
    clock = asyncio.get_running_loop().time
    reception = AccessControl(limits=Limits(bytes_per_second=10_000.0), clock=clock)
    async with serving(folder, reception=reception) as daemon, dial(daemon.url) as websocket:
        await websocket.send(HELLO)
        await heard(websocket)
        began = clock()
        for _ in range(3):
            await websocket.send(encode(List()))
            page = await heard(websocket)
            while not (isinstance(page, Page) and page.last):
                page = await heard(websocket)
        # 100,000 bytes each, the first of which may be owed.
        assert 15.0 < clock() - began < 30.0


def test_the_keywords_of_the_daemon_are_its_settings() -> None:
    fields = {field.name for field in dataclasses.fields(ListenSettings)}
    assert set(ListenOptions.__annotations__) == fields
