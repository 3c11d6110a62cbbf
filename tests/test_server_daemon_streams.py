"""The sender daemon's streams: targets, weights, updates and formats."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fakes import StreamOpener
from serving import pictures, serving, settled
from sources import collection, long_stream, model
from websocket_client import dial, heard
from websockets.asyncio.client import ClientConnection

from diffc_server import Catalogue, FileOpener, Opener, Pipeline, SenderDaemon
from diffc_stream.codec import Curve
from diffc_stream.session import (
    Ack,
    Code,
    Data,
    End,
    Error,
    Hello,
    List,
    Message,
    Open,
    Reason,
    Update,
    encode,
)
from diffc_stream.session import Catalogue as Page

DATA = long_stream()
CURVE = Curve()
CURVE.feed(DATA)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


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
        (("dfc1", "dfc2", "dfc3", "dfc4"), True),
        (("dfc1", "dfc2", "dfc3", "dfc4", "dfc5"), True),
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
        [conversation] = daemon._receivers
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
