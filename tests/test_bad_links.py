"""Receivers and sender daemons with a bad link between them, in virtual time.

Whatever happens to a link, a receiver ends with exactly the bytes that the sender has, and asks
for none of them twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import FakeDecoders, FakeOpener, stream_of
from serving import Impaired, pictures, serving

import diffc_client
from diffc_client import MemoryStream
from diffc_server import SenderDaemon
from diffc_stream.errors import DiffcError, LinkLost
from diffc_stream.session import Reason, Terms
from diffc_stream.transport.impaired_link import Link
from diffc_stream.transport.impairment import PERFECT, Break, Impairment

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]

SHORT = 300
"""Bytes of a stream that goes in a few messages."""
LONG = 20_000
IDLE = Terms().idle
OVERHEAD = 1.05
"""Bytes on a link over those of the stream, framing and all."""
GREETING = 1500
"""Bytes on a link, at most, that a connection costs beside: HTTP, WELCOME, half a message."""


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "diffc_server")


def asked(caplog: pytest.LogCaptureFixture) -> list[int]:
    """From which byte on the stream was asked for, each time."""
    return [int(text.rpartition(" ")[2]) for text in caplog.messages if " gets a.png " in text]


def connect(link: Link, idle: float = IDLE) -> AbstractAsyncContextManager[diffc_client.Sender]:
    address = f"ws://127.0.0.1:{link.port}"
    return diffc_client.connect(
        address, decoders=FakeDecoders(), patience=10 * IDLE, terms=Terms(idle=idle)
    )


async def receive(link: Link, kept: MemoryStream, idle: float = IDLE) -> Reason:
    async with connect(link, idle) as sender:
        return await sender.receive("a.png", kept)


async def receive_in_the_end(link: Link, kept: MemoryStream) -> None:
    """Receive all; when nobody is there, try again once, as people do."""
    try:
        assert await receive(link, kept) is Reason.COMPLETE
    except LinkLost as error:
        assert "does not answer" in str(error) or "has hung up" in str(error)
        assert kept.length == 0
        assert await receive(link, kept) is Reason.COMPLETE


@asynccontextmanager
async def serving_short(home: Path) -> AsyncIterator[SenderDaemon]:
    async with serving(pictures(home), FakeOpener(length=SHORT)) as daemon:
        yield daemon


async def sizes(daemon: SenderDaemon) -> tuple[int, int]:
    """How many bytes go down and up when the whole picture is received over a perfect link."""
    async with Link("127.0.0.1", daemon.port) as link:
        assert await receive(link, MemoryStream()) is Reason.COMPLETE
        return link.carried_down, link.carried_up


def once(way: str, impairment: Impairment) -> tuple[list[Impairment], list[Impairment]]:
    """What is wrong down and up when it is only wrong one way and on the first connection."""
    both = [impairment, PERFECT], [PERFECT]
    return both if way == "down" else both[::-1]


def now() -> float:
    return asyncio.get_running_loop().time()


def broken(how: Break, place: int) -> Impairment:
    match how:
        case Break.CUT:
            return Impairment(cut_after=place)
        case Break.RESET:
            return Impairment(reset_after=place)
        case Break.SILENCE:
            return Impairment(silent_after=place)


@pytest.mark.parametrize("way", ["down", "up"])
@pytest.mark.parametrize(
    ("how", "step"), [(Break.CUT, 1), (Break.RESET, 5), (Break.SILENCE, 5)], ids=str
)
async def test_a_link_may_break_at_any_byte(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: Break, step: int, way: str
) -> None:
    whole = stream_of("a.png", SHORT)
    resumed = []
    async with serving_short(tmp_path) as daemon:
        most = await sizes(daemon)
        for place in range(0, most[way == "up"], step):
            caplog.clear()
            down, up = once(way, broken(how, place))
            async with Link("127.0.0.1", daemon.port, down=down, up=up) as link:
                kept = MemoryStream()
                await receive_in_the_end(link, kept)
                assert kept.read() == whole
                assert link.carried_down <= most[0] + GREETING
            assert len(asked(caplog)) <= 2
            resumed.append(asked(caplog)[-1])
    # The later it broke the more was held: nothing, some messages, all of them.  When even END
    # has come nobody asks again.
    last = resumed.index(SHORT) if way == "down" else 0
    assert resumed[:last] == sorted(resumed[:last])
    assert len(set(resumed)) >= (3 if way == "down" else 1)


async def test_a_link_that_breaks_again_and_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, impaired: Impaired
) -> None:
    async with serving(pictures(tmp_path), FakeOpener(length=LONG)) as daemon:
        often = [Impairment(cut_after=700 + 331 * i) for i in range(12)]
        link = await impaired(daemon, down=[*often, PERFECT])
        kept = MemoryStream()
        assert await receive(link, kept) is Reason.COMPLETE
    assert kept.read() == stream_of("a.png", LONG)
    assert len(link.connections) > 5
    assert asked(caplog) == sorted(asked(caplog))
    assert link.carried_down < OVERHEAD * LONG + GREETING * len(link.connections)


@pytest.mark.parametrize(
    "down",
    [
        Impairment(rate=400.0),
        Impairment(rate=2000.0, delay=1.0),
        Impairment(delay=0.3, jitter=0.5, piece=100),
        Impairment(piece=1),
    ],
    ids=["slow", "far", "jittery", "torn"],
)
async def test_what_is_merely_bad_takes_its_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, impaired: Impaired, down: Impairment
) -> None:
    async with serving(pictures(tmp_path), FakeOpener(length=SHORT * 10)) as daemon:
        link = await impaired(daemon, down=down, up=Impairment(delay=down.delay))
        kept, begun = MemoryStream(), now()
        assert await receive(link, kept) is Reason.COMPLETE
        took = now() - begun
    assert kept.read() == stream_of("a.png", SHORT * 10)
    assert asked(caplog) == [0]
    assert len(link.connections) == 1
    trips = 6 * (2 * down.delay + down.jitter)
    assert took <= trips + link.carried_down / (down.rate or 1e9) + 3.0


async def test_a_stall_shorter_than_patience_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, impaired: Impaired
) -> None:
    async with serving(pictures(tmp_path), FakeOpener(length=LONG)) as daemon:
        link = await impaired(daemon, down=Impairment(stall_after=5000, stall=0.9 * IDLE))
        kept, begun = MemoryStream(), now()
        assert await receive(link, kept) is Reason.COMPLETE
        assert now() - begun == pytest.approx(0.9 * IDLE, abs=1.0)
    assert kept.read() == stream_of("a.png", LONG)
    assert (asked(caplog), len(link.connections)) == ([0], 1)


async def test_a_longer_stall_is_given_up_and_gone_round(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, impaired: Impaired
) -> None:
    async with serving(pictures(tmp_path), FakeOpener(length=LONG)) as daemon:
        stalled = Impairment(stall_after=5000, stall=100 * IDLE)
        link = await impaired(daemon, down=[stalled, PERFECT])
        kept, begun = MemoryStream(), now()
        assert await receive(link, kept) is Reason.COMPLETE
        assert now() - begun < 2 * IDLE
        await asyncio.sleep(IDLE)  # the first connection is still saying goodbye
    assert kept.read() == stream_of("a.png", LONG)
    assert len(link.connections) == 2
    [first, second] = asked(caplog)
    assert first == 0
    assert 4000 < second < 5000


async def test_a_daemon_is_stopped_while_a_receiver_gives_up(
    tmp_path: Path, impaired: Impaired
) -> None:
    async with serving(pictures(tmp_path), FakeOpener(length=LONG)) as daemon:
        link = await impaired(daemon, down=[Impairment(stall_after=5000, stall=9 * IDLE), PERFECT])
        async with connect(link) as sender:
            assert await sender.receive("a.png", MemoryStream()) is Reason.COMPLETE
            assert daemon.connections == 2
            await daemon.drain()


@pytest.mark.parametrize("idle", [3.0, 20.0])
async def test_silence_is_found_out_as_soon_as_was_agreed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, impaired: Impaired, idle: float
) -> None:
    async with serving(pictures(tmp_path), FakeOpener(length=LONG)) as daemon:
        link = await impaired(daemon, down=[Impairment(silent_after=5000), PERFECT])
        kept, begun = MemoryStream(), now()
        assert await receive(link, kept, idle) is Reason.COMPLETE
        assert idle <= now() - begun < idle + 5.0
        assert kept.read() == stream_of("a.png", LONG)
    assert asked(caplog)[1] > 4000


async def test_a_viewer_notices_only_that_it_takes_longer(
    tmp_path: Path, impaired: Impaired
) -> None:
    async with serving(pictures(tmp_path), FakeOpener(length=LONG)) as daemon:
        down = Impairment(rate=1000.0, delay=0.3, jitter=0.1)
        link = await impaired(daemon, down=[replace(down, reset_after=7000), down])
        async with diffc_client.connect(
            f"ws://127.0.0.1:{link.port}", decoders=FakeDecoders()
        ) as sender:
            seen = [refinement.bytes async for refinement in sender.open("a.png")]
    assert seen == sorted(seen)
    assert len(seen) > 10
    assert seen[-1] == LONG


@pytest.mark.parametrize("way", ["down", "up"])
async def test_a_wrong_bit_is_never_believed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    whole = stream_of("a.png", SHORT)
    async with serving_short(tmp_path) as daemon:
        most = await sizes(daemon)
        for place in range(0, most[way == "up"], 3):
            caplog.clear()
            down, up = once(way, Impairment(flips=(8 * place + 7,)))
            async with Link("127.0.0.1", daemon.port, down=down, up=up) as link:
                kept = MemoryStream()
                try:
                    await receive(link, kept)
                except DiffcError as error:
                    assert "\n" not in str(error)
                    assert whole.startswith(kept.read())
                    await receive(link, kept)
                assert kept.read() == whole
            assert asked(caplog) == sorted(asked(caplog))


@pytest.mark.parametrize(("scheme", "rate"), [("ws", 10), ("ws", 25), ("http", 15)])
async def test_the_thinnest_links_stay_up(
    tmp_path: Path, impaired: Impaired, scheme: str, rate: int, caplog: pytest.LogCaptureFixture
) -> None:
    thin = Impairment(rate=rate, delay=0.6)
    kept = MemoryStream()
    async with serving(pictures(tmp_path), FakeOpener(length=1500)) as daemon:
        link = await impaired(daemon, down=thin, up=thin)
        address = f"{scheme}://localhost:{link.port}"
        async with diffc_client.connect(
            address, decoders=FakeDecoders(), patience=120.0, token=30 * "x"
        ) as sender:
            name = "a.png.dfc" if scheme == "http" else "a.png"
            assert await sender.receive(name, kept) is Reason.COMPLETE
    assert kept.read() == stream_of("a.png", 1500)
    assert caplog.text.count(" connected") == (scheme == "ws")


async def test_a_long_list_over_a_thin_link_is_heard_while_it_comes(
    tmp_path: Path, impaired: Impaired
) -> None:
    folder = pictures(tmp_path)
    for number in range(100):
        (folder / f"a picture of a rather long name {number}.png").touch()
    async with serving(folder) as daemon:
        link = await impaired(daemon, down=Impairment(rate=25), up=Impairment(rate=25))
        address = f"ws://127.0.0.1:{link.port}"
        async with diffc_client.connect(address, decoders=FakeDecoders(), patience=0.0) as sender:
            assert len(await sender.images()) == 103
