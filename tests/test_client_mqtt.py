"""A mirror that follows a broker: what it takes, and what it does not."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from broker import broker
from mirroring import files, kept, mirroring
from serving import settled
from sources import long_stream, stream

from diffc_client import Address
from diffc_client.decoding.header import header_of
from diffc_client.remote import mqtt as module
from diffc_client.remote.mqtt import MqttLink
from diffc_client.remote.mqtt_stream import MOST_PIECES, TRIES, IncomingMqttStream
from diffc_stream.budget import Budget
from diffc_stream.container.grammar import MOST_HEADER
from diffc_stream.errors import AddressError, LinkLost, PeerError, RemoteProtocolError, UnknownImage
from diffc_stream.ledger import Ledger, NotesFile
from diffc_stream.session import End, Reason, Target
from diffc_stream.transport.mqtt import Broker, connected
from diffc_stream.transport.mqtt_topics import Item, Summary, Topics

__all__ = ["kept"]
pytestmark = pytest.mark.asyncio
TOPICS = Topics("cam")


def item_of(data: bytes, name: str = "a.png", piece: int = 1000) -> Item:
    digest = hashlib.sha256(data).hexdigest()
    return Item(name=name, time=1, size=len(data), sha256=digest, piece=piece)


def pieces_of(item: Item, data: bytes) -> dict[int, bytes]:
    return {offset: data[offset : offset + item.piece] for offset in item.offsets}


class FakeLink(MqttLink):
    """A link whose broker is the test: it answers what is asked by whatever ``answer`` does."""

    def __init__(self, item: Item) -> None:
        super().__init__(Broker.parse("mqtt://hub/cam"), patience=0.01)
        self._items = {item.name: item}
        self.asked: list[list[int]] = []
        self.pieces: dict[int, bytes] = {}
        self.lossy = 0

    async def ask(self, item: Item, offsets: Sequence[int]) -> list[str]:
        self.asked.append(list(offsets))
        if self.lossy:
            self.lossy -= 1
            return []
        shuffled = [offset for offset in offsets if offset in self.pieces] * 2
        random.Random(1).shuffle(shuffled)
        for offset in (*shuffled, 999_999, 1):
            data = self.pieces.get(offset, b"x")
            for incoming in tuple(self._open):
                incoming.take("b.png", item.id, offset, data)
                incoming.take(item.name, "0" * 16, offset, data)
                incoming.take(item.name, item.id, offset, data[:-1])
                incoming.take(item.name, item.id, offset, data)
        return []


async def drained(incoming: IncomingMqttStream) -> tuple[bytes, Reason]:
    data = b""
    while True:
        more, end = await incoming.several()
        data += more
        if isinstance(end, End):
            return data, end.reason


async def test_pieces_that_are_lost_doubled_and_out_of_order() -> None:
    data = long_stream()
    item = item_of(data, piece=700)
    for held in (0, 1, 700, 1000, 11_999, 12_000):
        link = FakeLink(item)
        link.pieces, link.lossy = pieces_of(item, data), 1
        incoming = link.open(item.name, held=data[:held], target=Target())
        assert await drained(incoming) == (data[held:], Reason.COMPLETE)
        assert all(len(offsets) <= MOST_PIECES for offsets in link.asked)
        assert not link._open


async def test_no_more_is_asked_for_than_the_target_needs() -> None:
    data = long_stream()
    item = item_of(data, piece=500)
    link = FakeLink(item)
    link.pieces = pieces_of(item, data)
    incoming = link.open(item.name, held=data[:600], target=Target(bytes=1700))
    assert await drained(incoming) == (data[600:1700], Reason.TARGET)
    assert link.asked == [[500, 1000, 1500]]


async def test_a_rate_limits_what_is_asked_for_once_the_header_is_known() -> None:
    data = long_stream()
    header = header_of(data[:MOST_HEADER])
    assert header is not None
    pixels = header.width * header.height
    item = item_of(data, piece=100)
    link = FakeLink(item)
    link.pieces = pieces_of(item, data)
    held = data[:250]
    target = Target(bpp=8 * 500 / pixels)
    more, reason = await drained(link.open("a.png", held=held, target=target))
    assert (held + more, reason) == (data[:500], Reason.TARGET)
    assert link.asked == [[200, 300, 400]]


async def test_forged_pieces_never_make_a_whole() -> None:
    data = stream()
    item = item_of(data, piece=1000)
    forged = dict(pieces_of(item, data))
    forged[1000] = b"\0" * len(forged[1000])
    link = FakeLink(item)
    link.pieces = forged
    incoming = link.open(item.name, held=b"", target=Target())
    first, _ = await incoming.several()
    assert first == data[:1000]
    with pytest.raises(PeerError, match="not what they should be"):
        await incoming.several()
    for held, why in ((b"\0" * 1500, "replaced"), (b"\0" * 1600, "shorter"), (b"\0" * 9, "here")):
        link.pieces = pieces_of(item, data)
        with pytest.raises(PeerError, match=why) as caught:
            await drained(link.open(item.name, held=held, target=Target()))
        assert caught.value.code == "prefix-mismatch"


async def test_what_is_not_there_is_left_for_later() -> None:
    item = item_of(stream())
    link = FakeLink(item)
    with pytest.raises(PeerError, match="are not there") as caught:
        await drained(link.open(item.name, held=b"", target=Target()))
    assert caught.value.retry
    assert len(link.asked) == TRIES
    with pytest.raises(UnknownImage):
        await drained(link.open("b.png", held=b"", target=Target()))
    incoming = link.open(item.name, held=b"", target=Target())
    waiting = asyncio.create_task(drained(incoming))
    await settled(lambda: len(link.asked) > TRIES)
    await link._note(item.name, item_of(long_stream()))
    with pytest.raises(PeerError, match="replaced"):
        await waiting


async def test_a_catalogue_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ITEMS", 2)
    link = FakeLink(item_of(b"1"))
    for name in ("a.png", "b.png"):
        await link._take(f"cam/pictures/{name}", item_of(b"1", name).message())
    # What is none, or is somebody else's, changes nothing.
    await link._take("cam/pictures/x", b"{")
    await link._take("cam/pictures/..%2Fx", item_of(b"1", "x").message())
    await link._take("cam/pictures/x", item_of(b"1", "y").message())
    await link._take("cam/catalogue", b"nonsense")
    await link._take("cam/catalogue", b"")
    with pytest.raises(RemoteProtocolError, match="more than 2 pictures"):
        await link._take("cam/pictures/c.png", item_of(b"1", "c.png").message())


async def published(port: int, *streams: tuple[str, bytes], forged: bool = False) -> None:
    """Publish streams as a sender does; or with a second piece that is forged."""
    items = []
    async with connected(Broker.parse(f"mqtt://127.0.0.1:{port}/cam")) as client:
        for name, data in streams:
            item = item_of(data, name)
            for offset, piece in pieces_of(item, data).items():
                sent = b"\0" * len(piece) if forged and offset else piece
                await client.publish(TOPICS.piece(item, offset), sent, 1, retain=True)
            await client.publish(TOPICS.picture(name), item.message(), 1, retain=True)
            items.append(item)
        await client.publish(TOPICS.catalogue, Summary.of(items).message(), 1, retain=True)


async def test_late_and_once_more(
    tmp_path: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It comes late, goes on where it was, is forged, and ends with what the sender has."""
    caplog.set_level(logging.INFO, "diffc_client")
    with broker(tmp_path) as port:
        url = f"mqtt://127.0.0.1:{port}/cam"
        await published(port, ("a.png", long_stream()), ("sub/b.png", stream()))
        async with mirroring(kept, url, target=Target(bytes=1200)) as watcher:
            await watcher.until_complete("a.png", "sub/b.png")
            assert watcher.mirror.connected
        assert (kept / "a.png.dfc").read_bytes() == long_stream()[:1200]
        async with mirroring(kept, url, delete=True) as watcher:
            await watcher.until_complete("a.png", "sub/b.png")
            # It is replaced, by a stream of which a piece is forged; and the other is removed.
            before = caplog.text.count("is kept")
            await published(port, ("a.png", stream(seed=1)), forged=True)
            await removed(port, "sub/b.png")
            await watcher.until(lambda: "not what they should be" in caplog.text)
            await watcher.until(lambda: not (kept / "sub").exists())
            assert (kept / "a.png.dfc").read_bytes() == long_stream()
            assert caplog.text.count("is kept") == before
        await published(port, ("a.png", stream(seed=1)))
        async with mirroring(kept, url, delete=True) as watcher:
            await watcher.until_complete("a.png")
        assert (kept / "a.png.dfc").read_bytes() == stream(seed=1)
        link = await MqttLink.dial(Address.parse(url))
        assert [entry.name for entry in await link.catalogue()] == ["a.png"]
        await link.close()
        with pytest.raises(LinkLost):
            link.open("a.png", held=b"", target=Target())
    assert [name for name in files(kept) if name.endswith(".dfc")] == ["a.png.dfc"]


async def removed(port: int, name: str) -> None:
    async with connected(Broker.parse(f"mqtt://127.0.0.1:{port}/cam")) as client:
        await client.publish(TOPICS.picture(name), b"", 1, retain=True)


async def test_a_broker_that_goes(tmp_path: Path) -> None:
    with broker(tmp_path) as port:
        await published(port, ("a.png", stream()))
        link = await MqttLink.dial(Address.parse(f"mqtt://127.0.0.1:{port}/cam"))
        pages = link.follow()
        assert not isinstance(await pages.get(), LinkLost)
    try:
        async with asyncio.timeout(60):
            while not isinstance(await pages.get(), LinkLost):
                pass
        assert link.lost
    finally:
        await link.close()


@pytest.mark.parametrize("url", ["mqtt://hub", "mqtt://hub/a+b"])
async def test_an_address_without_a_topic(url: str) -> None:
    with pytest.raises(AddressError):
        await MqttLink.dial(Address.parse(url))


async def test_a_budget_holds_here_too(tmp_path: Path, kept: Path) -> None:
    ledger = Ledger(Budget(month=1300), NotesFile(tmp_path / "spent"))
    with broker(tmp_path) as port:
        await published(port, ("a.png", long_stream()), ("sub/b.png", stream()))
        url = f"mqtt://127.0.0.1:{port}/cam"
        async with mirroring(kept, url, ledger=ledger) as watcher:
            await watcher.until(lambda: ledger.room() == 0 and not watcher.mirror.connected)
    sizes = [(kept / name).stat().st_size for name in files(kept) if name.endswith(".dfc")]
    assert sum(sizes) == 1300
