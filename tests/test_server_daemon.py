"""The sender daemon against receivers that do not behave."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fakes import FakeDecoders, FakeOpener, StreamOpener, stream_of
from serving import pictures, serving, settled
from sources import collection, long_stream, model
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

import diffc_client
from diffc_client import MemoryStream
from diffc_server import Catalogue, FileOpener, Opener, Pipeline, SenderDaemon
from diffc_server.auth.access_control import AccessControl
from diffc_server.auth.limits import Limits
from diffc_server.daemon import ListenOptions, ListenSettings
from diffc_stream.codec import Curve
from diffc_stream.session import (
    SUBPROTOCOL,
    Ack,
    Alive,
    Code,
    Data,
    End,
    Error,
    Goaway,
    Hello,
    List,
    Message,
    Open,
    Reason,
    Stop,
    Terms,
    Update,
    Welcome,
    decode,
    encode,
)
from diffc_stream.session import Catalogue as Page

HELLO = encode(Hello(window=1024, idle=60.0))
DATA = long_stream()
CURVE = Curve()
CURVE.feed(DATA)


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
@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ("https://example.org:8080", "diffc-server --origin https://example.org:8080"),
        ("null", "belong to no site"),
        ("https://x/;y", "belong to no site"),
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


class Receiver:
    """A receiver that behaves, and acknowledges only when it is told to."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.received: dict[int, bytes] = {}
        self.ends: dict[int, End | Error] = {}
        self._websocket = websocket

    async def say(self, *messages: Message) -> None:
        for message in messages:
            await self._websocket.send(encode(message))

    async def hear(self) -> Message:
        message = await heard(self._websocket)
        if isinstance(message, Data):
            before = self.received.get(message.stream, b"")
            self.received[message.stream] = before + message.payload
        elif isinstance(message, End | Error):
            self.ends[message.stream] = message
        return message

    @property
    def held(self) -> int:
        """Bytes received of all streams."""
        return sum(map(len, self.received.values()))

    async def until(self, nbytes: int, *, acknowledge: bool = False) -> None:
        """Receive so many bytes in all."""
        while self.held < nbytes:
            if acknowledge:
                await self.say(Ack(received=self.held))
            await self.hear()

    async def end(self, stream: int = 1) -> End | Error:
        """Receive, and acknowledge, until a stream has ended; return how."""
        while stream not in self.ends:
            if self.held:
                await self.say(Ack(received=self.held))
            await self.hear()
        return self.ends[stream]


@asynccontextmanager
async def receiving(
    folder: Path,
    opener: Opener | None = None,
    *,
    window: int = 1024,
    capabilities: tuple[str, ...] = (),
) -> AsyncIterator[Receiver]:
    """Greet a daemon that serves DATA as a.dfc and b.dfc, and pictures through ``opener``."""
    for name in ("a.dfc", "b.dfc"):
        (folder / name).write_bytes(DATA)
    pipeline = Pipeline(opener or FileOpener(collection(model())))
    async with (
        SenderDaemon(Catalogue(folder), pipeline) as daemon,
        dial(daemon.url) as websocket,
    ):
        receiver = Receiver(websocket)
        await receiver.say(Hello(window=window, idle=60.0, capabilities=capabilities))
        yield receiver


async def share(receiver: Receiver, caplog: pytest.LogCaptureFixture, weight: float = 1.0) -> None:
    """Open the same bytes as streams 3 and 4, the latter of that weight, and wait for both.

    Until a stream is there, others have the link: so it is asked for once before.
    """
    caplog.set_level("INFO", "diffc_server")
    for stream, image in ((1, "a.dfc"), (2, "b.dfc")):
        await receiver.say(Open(stream=stream, image=image, bytes=1))
        await receiver.end(stream)
    await receiver.say(Open(stream=3, image="a.dfc"), Open(stream=4, image="b.dfc", weight=weight))
    await settled(lambda: caplog.text.count(" gets ") == 4)


def good_enough(psnr: float) -> int:
    return next(o for o, q in zip(CURVE.offsets, CURVE.psnr(), strict=True) if q >= psnr)


SMALL = CURVE.opening(64) or 0
"""What a side of 64 needs."""
TARGETS: list[tuple[dict[str, float], int]] = [
    ({"side": 64}, SMALL),
    ({"psnr": 25.0}, good_enough(25.0)),
    ({"psnr": 19.0, "side": 64}, good_enough(19.0)),
    ({"psnr": 25.0, "side": 64}, SMALL),
    ({"psnr": 25.0, "bytes": 300}, 300),
    ({"psnr": 25.0, "bpp": 0.5}, 1024),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("target", "length"), TARGETS)
async def test_targets(folder: Path, target: dict[str, float], length: int) -> None:
    async with receiving(folder) as receiver:
        await receiver.say(Open(stream=1, image="a.dfc", **target))  # type: ignore[arg-type]
        assert await receiver.end() == End(stream=1, reason=Reason.TARGET, length=length)
        assert receiver.received == {1: DATA[:length]}


@pytest.mark.asyncio
@pytest.mark.parametrize("target", [{"side": 65}, {"psnr": 99.0}, {"bytes": 10**6}])
async def test_what_no_target_stops_is_complete(folder: Path, target: dict[str, float]) -> None:
    async with receiving(folder) as receiver:
        await receiver.say(Open(stream=1, image="a.dfc", **target))  # type: ignore[arg-type]
        end = await receiver.end()
        assert end == End(stream=1, reason=Reason.COMPLETE, length=len(DATA))
        assert receiver.received == {1: DATA}


@pytest.mark.asyncio
@pytest.mark.parametrize("broken", [False, True])
async def test_a_quality_while_the_picture_is_encoded(folder: Path, broken: bool) -> None:
    """No more is computed than what it takes to be sure, and what fails behind it is no failure."""
    data = DATA[:3000] if broken else DATA
    opener = StreamOpener({"a.png": data}, broken=broken)
    async with receiving(folder, opener) as receiver:
        await receiver.say(Open(stream=1, image="a.png", psnr=22.0))
        end = await receiver.end()
        assert isinstance(end, End)
        assert end.reason is Reason.TARGET
        assert abs(CURVE.offsets.index(end.length) - CURVE.offsets.index(good_enough(22.0))) <= 1
        assert opener.computed["a.png"] < 8000


@pytest.mark.asyncio
async def test_an_update_raises_a_target(folder: Path) -> None:
    async with receiving(folder) as receiver:
        await receiver.say(Open(stream=1, image="a.dfc", bytes=2000))
        await receiver.until(512)
        await receiver.say(Update(stream=1, bytes=3000))
        assert await receiver.end() == End(stream=1, reason=Reason.TARGET, length=3000, updates=1)
        assert receiver.received == {1: DATA[:3000]}


@pytest.mark.asyncio
async def test_an_update_lowers_a_target(folder: Path) -> None:
    async with receiving(folder) as receiver:
        await receiver.say(Open(stream=1, image="a.dfc"))
        await receiver.until(512)
        await receiver.say(Update(stream=1, bytes=10))
        end = await receiver.end()
        assert end == End(stream=1, reason=Reason.TARGET, length=receiver.held, updates=1)
        assert receiver.held <= 2048


@pytest.mark.asyncio
async def test_an_update_before_the_stream_has_begun(folder: Path) -> None:
    async with receiving(folder) as receiver:
        await receiver.say(Open(stream=1, image="a.dfc"), Update(stream=1, bytes=100))
        assert await receiver.end() == End(stream=1, reason=Reason.TARGET, length=100, updates=1)


@pytest.mark.asyncio
async def test_an_update_after_the_end_is_nothing(folder: Path) -> None:
    async with receiving(folder) as receiver:
        await receiver.say(Open(stream=1, image="a.dfc", bytes=100))
        await receiver.end()
        await receiver.say(Update(stream=1, bytes=200), Open(stream=2, image="b.dfc", bytes=50))
        await receiver.end(2)
        assert receiver.received == {1: DATA[:100], 2: DATA[:50]}


@pytest.mark.asyncio
async def test_streams_share_by_weight(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with receiving(folder, window=8192) as receiver:
        await share(receiver, caplog, weight=8.0)
        await receiver.until(9000, acknowledge=True)
        light, heavy = receiver.received[3], receiver.received[4]
        # A picture nobody would recognise comes first all the same.
        assert len(light) > 64
        assert len(heavy) > 2 * len(light)
        assert DATA.startswith(light)
        assert DATA.startswith(heavy)


@pytest.mark.asyncio
async def test_equal_streams_share_evenly(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with receiving(folder) as receiver:
        await share(receiver, caplog)
        await receiver.until(8000, acknowledge=True)
        # Whoever was opened first may be a frame or two ahead.
        assert abs(len(receiver.received[3]) - len(receiver.received[4])) <= 2200


@pytest.mark.asyncio
async def test_an_update_changes_the_weight(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with receiving(folder) as receiver:
        await share(receiver, caplog)
        await receiver.until(900)
        await receiver.say(Update(stream=4, weight=1000.0), List())
        while not isinstance(await receiver.hear(), Page):
            pass
        before = len(receiver.received[3])
        await receiver.until(4000, acknowledge=True)
        assert len(receiver.received[3]) == before


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("capabilities", "served"),
    [
        ((), True),
        (("http", "sparkles"), True),
        (("dfc1",), True),
        (("dfc1", "dfc2"), True),
        (("dfc1", "dfc2", "dfc3"), True),
        (("dfc9", "dfc1"), True),
        (("dfc2",), False),
        (("dfc9",), False),
    ],
)
async def test_formats(folder: Path, capabilities: tuple[str, ...], served: bool) -> None:
    async with receiving(folder, capabilities=capabilities) as receiver:
        await receiver.say(Open(stream=1, image="a.dfc", bytes=100))
        end = await receiver.end()
        if served:
            assert isinstance(end, End)
        else:
            assert isinstance(end, Error)
            assert (end.code, end.retry) == (Code.UNSUPPORTED, False)
            assert capabilities[0] in end.message
            # The connection is as good as before.
            await receiver.say(List())
            assert isinstance(await receiver.hear(), Page)


@pytest.mark.asyncio
async def test_what_must_be_understood_and_is_not(folder: Path) -> None:
    async with receiving(folder, capabilities=("!sparkles",)) as receiver:
        end = await receiver.end(0)
        assert isinstance(end, Error)
        assert end.code == Code.UNSUPPORTED


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
async def test_the_catalogue_says_when_a_picture_is_another(folder: Path) -> None:
    async with receiving(folder) as receiver:
        pages = []
        for contents in (b"one", b"two"):
            (folder / "a.png").write_bytes(contents)
            await receiver.say(List())
            while not isinstance(page := await receiver.hear(), Page):
                pass
            pages.append({entry.name: entry for entry in page.images})
            assert set(page.images) == set(Catalogue(folder).entries())
    before, after = pages
    assert before["a.png"].thumbprint != after["a.png"].thumbprint
    assert before["a.dfc"] == after["a.dfc"]
    assert before["a.dfc"].size == len(DATA)


@pytest.mark.asyncio
async def test_refused_requests_leave_nothing_behind(folder: Path) -> None:
    async with serving(folder) as daemon, dial(daemon.url) as websocket:
        receiver = Receiver(websocket)
        await receiver.say(Hello(window=1024, idle=60.0))
        for stream in range(1, 20):
            await receiver.say(Open(stream=stream, image="nothing.png"))
            assert isinstance(await receiver.end(stream), Error)
        [conversation] = daemon._conversations
        assert not conversation._requested


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_a_bunch_of_streams_begins_together(folder: Path) -> None:
    """Whatever is ready first: nobody gets a second frame before all have had a first one."""
    async with receiving(folder, window=8192) as receiver:
        await receiver.say(*(Open(stream=n, image="ab"[n % 2] + ".dfc") for n in range(1, 9)))
        frames: list[int] = []
        while len(set(frames)) < 8:
            if isinstance(message := await receiver.hear(), Data):
                frames.append(message.stream)
        assert sorted(frames) == list(range(1, 9))


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
    pipeline = Pipeline(opener, seats=1)
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
        [conversation] = daemon._conversations
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
        [conversation] = daemon._conversations
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
