"""A broadcast for browsers: packets in, WebSockets out."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from unittest.mock import Mock

import pytest
from sources import long_stream
from test_client_app import ask
from viewer_files import viewer
from websocket_client import dial as dialled
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from diffc_client.__main__ import main
from diffc_client.web import packets as module
from diffc_client.web.packets import SUBPROTOCOL, PacketRelay
from diffc_stream.errors import AddressError, DamagedPacket
from diffc_stream.packets import Broadcast, Plan, Receiver
from diffc_stream.transport.carriers import opened_to
from diffc_viewer import Assets, Site

PACKETS = list(
    Broadcast(long_stream(), size=200, budget=3000, plan=Plan.for_loss(0.0), station="DL0ABC")
)
STATION, *SENT = PACKETS
"""Pieces, each of them new."""
Radio = Callable[[bytes], None]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(Assets(home=viewer(tmp_path / "viewer")))


@pytest.fixture
def radio(monkeypatch: pytest.MonkeyPatch) -> Radio:
    """Return what the relay receives with."""
    air: queue.Queue[bytes] = queue.Queue()

    def heard() -> Iterator[bytes | None]:
        while True:
            try:
                yield air.get(timeout=0.05)
            except queue.Empty:
                yield None

    @contextmanager
    def arriving(_: str) -> Iterator[Iterator[bytes | None]]:
        yield heard()

    monkeypatch.setattr(module, "arriving", arriving)
    return air.put


def dial(relay: PacketRelay, origin: str | None = None) -> connect:
    return dialled(relay.url.replace("http:", "ws:"), SUBPROTOCOL, origin)


def counts(relay: PacketRelay) -> list[int]:
    with relay._lock:  # until what has been counted waits for the pages, too
        return list(relay._receiver.counts.values())


def until(condition: Callable[[], bool]) -> None:
    """Let other threads go on until something is so."""
    while not condition():
        os.sched_yield()


@pytest.mark.asyncio
async def test_packets_go_to_all_pages_and_the_page_knows(site: Site, radio: Radio) -> None:
    async with PacketRelay("udp://127.0.0.1:7000", site, max_pixels=10**6) as relay:
        facts = json.loads((await ask(relay, "/-/viewer.json"))[2])
        assert (facts["packets"], facts["sender"]) == (True, "udp://127.0.0.1:7000")
        assert facts["max_pixels"] == 10**6
        assert (await ask(relay, "/"))[0] == 200
        async with dial(relay) as one, dial(relay) as other:
            assert one.subprotocol == SUBPROTOCOL
            for packet in PACKETS[:3]:
                radio(packet)
            for page in (one, other):
                assert [await page.recv() for _ in range(3)] == PACKETS[:3]


@pytest.mark.asyncio
async def test_only_what_is_new_is_handed_on(site: Site, radio: Radio) -> None:
    async with PacketRelay("-", site) as relay, dial(relay) as page:
        radio(SENT[0])
        assert await page.recv() == SENT[0]
        for packet in (SENT[0], b"noise", SENT[1][:-1] + b"?", SENT[2]):
            radio(packet)
        assert await page.recv() == SENT[2]


@pytest.mark.asyncio
async def test_who_comes_late_has_what_was_there(site: Site, radio: Radio) -> None:
    sent = list(Broadcast(long_stream(), size=200, budget=3000))
    heard = [packet for number, packet in enumerate(sent) if number % 4 != 1]
    expected = Receiver()
    for packet in heard:
        expected.take(packet)
    gathered = expected.newest
    assert gathered is not None
    async with PacketRelay("-", site) as relay:
        for packet in [STATION, *heard]:
            radio(packet)
        await asyncio.to_thread(until, lambda: sum(counts(relay)) == 1 + len(heard))
        async with dial(relay) as late:
            receiver = Receiver()
            assert await late.recv() == STATION
            while receiver.newest is None or receiver.newest.pieces < gathered.pieces:
                message = await late.recv()
                assert isinstance(message, bytes)
                receiver.take(message)
            assert list(receiver.newest.parts()) == list(gathered.parts())


@pytest.mark.asyncio
async def test_who_reads_too_slowly_loses_packets(
    site: Site, radio: Radio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    carried = asyncio.Event()
    going = asyncio.Event()

    async def slowly(page: ServerConnection, packet: bytes) -> None:
        carried.set()
        await going.wait()
        await page.send(packet)

    monkeypatch.setattr(module, "_carried", slowly)
    async with PacketRelay("-", site) as relay, dial(relay) as page:
        radio(SENT[0])
        await carried.wait()
        for packet in SENT[1:8]:
            radio(packet)
        await asyncio.to_thread(until, lambda: sum(counts(relay)) == 8)
        going.set()
        assert [await page.recv() for _ in range(3)] == [SENT[0], *SENT[6:8]]
        assert [await page.recv() for _ in range(8)] == SENT[:8], "what it has missed, too"
        radio(SENT[8])
        assert await page.recv() == SENT[8]


@pytest.mark.asyncio
async def test_a_page_that_reads_nothing_is_gone(
    site: Site, radio: Radio, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(module, "PATIENCE", 0.0)
    monkeypatch.setattr(ServerConnection, "send", stuck)
    async with PacketRelay("-", site) as relay, dial(relay) as page:
        radio(SENT[0])
        with pytest.raises(ConnectionClosed):
            while True:
                await page.recv()
        assert page.close_code == 1006


@pytest.mark.asyncio
@pytest.mark.usefixtures("radio")
async def test_pages_have_nothing_to_say(site: Site) -> None:
    async with PacketRelay("-", site) as relay, dial(relay) as page:
        await page.send(b"hello")
        await page.wait_closed()
        assert page.close_code == 1008


@pytest.mark.asyncio
@pytest.mark.usefixtures("radio")
async def test_not_too_many_and_none_of_other_sites(site: Site) -> None:
    async with PacketRelay("-", site, most=1) as relay:
        with pytest.raises(InvalidStatus) as caught:
            await dial(relay, origin="https://example.org")
        assert caught.value.response.status_code == 403
        async with dial(relay, origin=relay.url.rstrip("/")):
            with pytest.raises(InvalidStatus) as caught:
                await dial(relay)
            assert caught.value.response.status_code == 503


@pytest.mark.asyncio
async def test_pages_of_a_site_that_is_named(site: Site, radio: Radio) -> None:
    async with (
        PacketRelay("-", site, origins=["https://example.com"]) as relay,
        dial(relay, origin="https://example.com") as page,
    ):
        radio(SENT[0])
        assert await page.recv() == SENT[0]


@pytest.mark.asyncio
@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "127.0.0.1"), ("127.0.0.2", "127.0.0.2")])
async def test_it_says_where_it_is(host: str, shown: str, site: Site, tmp_path: Path) -> None:
    if host == "127.0.0.2" and sys.platform != "linux":
        pytest.skip("one loopback address is all there is")
    async with PacketRelay(str(tmp_path), site, host=host) as relay:
        assert relay.url == f"http://{shown}:{relay.port}/"
        async with dial(relay, origin=relay.url.rstrip("/")):
            pass


@pytest.mark.asyncio
async def test_a_folder_ends_and_its_pages_stay(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    with opened_to(str(folder)) as sender:
        for packet in SENT[:2]:
            sender.send(packet)
    async with PacketRelay(str(folder), site) as relay:
        await relay.ended.wait()
        assert relay.failure is None
        async with dial(relay) as page:
            assert [await page.recv() for _ in range(2)] == SENT[:2]


@pytest.mark.asyncio
async def test_a_source_that_is_not_there(site: Site, tmp_path: Path) -> None:
    with pytest.raises(AddressError, match="neither HOST:PORT"):
        async with PacketRelay("udp://nowhere", site):
            pass
    with pytest.raises(FileNotFoundError):
        async with PacketRelay(str(tmp_path / "nowhere"), site):
            pass


@pytest.mark.asyncio
async def test_a_source_that_fails_by_a_bug(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends, instead of waiting for ever."""
    monkeypatch.setattr(module, "arriving", Mock(side_effect=UnicodeError("a bug")))
    async with asyncio.timeout(60):
        with pytest.raises(UnicodeError, match="a bug"):
            async with PacketRelay("udp://127.0.0.1:7000", site):
                pass


@pytest.mark.asyncio
async def test_a_source_that_fails_later(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged() -> Iterator[bytes]:
        yield SENT[0]
        raise DamagedPacket("these are no packets")

    monkeypatch.setattr(module, "arriving", lambda _: nullcontext(damaged()))
    async with PacketRelay("-", site) as relay:
        await relay.ended.wait()
        assert isinstance(relay.failure, DamagedPacket)


def test_a_command_without_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["relay-packets", str(tmp_path / "nowhere")]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "nowhere" in said.err
    assert said.err.count("\n") == 1
