"""What streams start from is found here or at the sender, and is what the stream means."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import camera
import numpy as np
import pytest
from fakes import FakeOpener
from numpy.typing import NDArray
from serving import serving
from sources import collection

import diffc_client
from diffc_client import ModelDecoders, Sender
from diffc_client.cli.fetch import Request, fetch
from diffc_client.remote.address import Address
from diffc_client.storage.cache import Cached, Store
from diffc_client.storage.partial_stream import MemoryStream
from diffc_client.storage.references import MOST_BYTES, MOST_RECENT, Beginnings, name_beside
from diffc_stream.codec import Decoder
from diffc_stream.container import Header, Reference
from diffc_stream.container.reference import digest
from diffc_stream.errors import LinkLost, MissingReference, PeerError
from diffc_stream.references import References, among
from diffc_stream.session import Code, Terms

MODELS = collection(camera.MODEL)
COUNT = 3


def shown(number: int) -> NDArray[np.uint8]:
    """Return the picture of a whole stream."""
    data = camera.streams(COUNT)
    decoder = Decoder(MODELS, references=References(MODELS, among(data)))
    decoder.feed(data[number])
    return decoder.render().image


async def last(sender: Sender, image: str) -> NDArray[np.uint8]:
    async for refinement in sender.open(image):
        picture = refinement.image
    return picture


def said(name: str, data: bytes = b"abc") -> Reference:
    return Reference(size=len(data), digest=digest(data), name=name, trust=b"\0")


def header(reference: Reference) -> Header:
    return Header(
        model="00000002", width=64, height=64, seed=0, ratio=200, about=True, reference=reference
    )


@pytest.mark.asyncio
@pytest.mark.parametrize("scheme", ["ws", "http"])
async def test_the_sender_has_what_a_stream_starts_from(tmp_path: Path, scheme: str) -> None:
    camera.write(tmp_path / "gate", COUNT)
    async with serving(tmp_path, FakeOpener()) as daemon:
        url = f"{scheme}{daemon.url.removeprefix('ws')}"
        decoders = ModelDecoders(MODELS)
        async with diffc_client.connect(url, decoders=decoders, patience=0.0) as sender:
            for number in (2, 0, 1):
                seen = await last(sender, f"gate/{number}.dfc")
                assert np.array_equal(seen, shown(number))


@pytest.mark.asyncio
async def test_what_is_missing_is_named(tmp_path: Path) -> None:
    camera.write(tmp_path, 2)
    (tmp_path / "0.dfc").unlink()
    async with serving(tmp_path, FakeOpener()) as daemon:
        decoders = ModelDecoders(MODELS)
        async with diffc_client.connect(daemon.url, decoders=decoders, patience=0.0) as sender:
            with pytest.raises(MissingReference, match=r"0\.dfc, 600 bytes .* no picture"):
                await last(sender, "1.dfc")


@pytest.mark.asyncio
async def test_get_keeps_what_it_needed(tmp_path: Path) -> None:
    camera.write(tmp_path / "served", COUNT)
    store = tmp_path / "cache"
    async with serving(tmp_path / "served", FakeOpener()) as daemon:
        address = Address.parse(f"{daemon.url}/2.dfc")
        out = tmp_path / "2.png"
        request = Request(address=address, out=out, store=store, terms=Terms(), patience=0.0)
        await fetch(request, ModelDecoders(MODELS), lambda _: None)
        with Store(store).open(replace(address, image="1.dfc")) as kept:
            assert kept.read() == camera.streams(COUNT)[1][: camera.HALF]
        # What was kept of the stream itself is dropped if it cannot be shown any more.
        for number in (0, 1):
            (tmp_path / "served" / f"{number}.dfc").unlink()
            with Store(store).open(replace(address, image=f"{number}.dfc")) as kept:
                kept.restart()
        (tmp_path / "served" / "2.dfc").write_bytes(camera.streams(COUNT)[0])
        await fetch(request, ModelDecoders(MODELS), lambda _: None)
    with Store(store).open(address) as kept:
        assert kept.read() == camera.streams(COUNT)[0]


@pytest.mark.parametrize(
    ("image", "name", "files", "found"),
    [
        ("b.jpg", "a.jpg.dfc", False, "a.jpg"),
        ("gate/b.jpg", "a.jpg.dfc", False, "gate/a.jpg"),
        ("gate/b.dfc", "a.dfc", False, "gate/a.dfc"),
        ("gate/b.jpg.dfc", "a.jpg.dfc", True, "gate/a.jpg.dfc"),
        ("b.jpg", "a?#%.jpg.DFC", False, "a?#%.jpg"),
    ],
)
def test_names_are_beside_the_stream(image: str, name: str, files: bool, found: str) -> None:
    assert name_beside(image, said(name), files=files) == found


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a.jpg",
        ".dfc",
        "..dfc",
        ".a.dfc",
        "../a.dfc",
        "x/a.dfc",
        "x\\a.dfc",
        "a\n.dfc",
        "a\0.dfc",
    ],
)
def test_names_that_lead_elsewhere(name: str) -> None:
    with pytest.raises(MissingReference, match="its name is not that of a stream beside"):
        name_beside("gate/b.jpg", said(name))


class _Sender:
    """A sender that has streams by name, and counts what it sends."""

    def __init__(self, streams: dict[str, bytes]) -> None:
        self.streams = streams
        self.asked: list[tuple[str, int]] = []

    async def receive(self, image: str, kept: Cached | MemoryStream, size: int) -> None:
        self.asked.append((image, kept.length))
        data = self.streams.get(image)
        if data is None:
            raise PeerError(Code.UNKNOWN_IMAGE, f"there is no {image}")
        if not data.startswith(kept.read()):
            raise PeerError(Code.PREFIX_MISMATCH, "other bytes")
        kept.append(data[kept.length : size])

    def beginnings(self, cache: Path | None = None) -> Beginnings:
        whole = Address.parse("ws://station")
        return Beginnings(
            self.receive, address=lambda image: replace(whole, image=image or None), cache=cache
        )


@pytest.mark.asyncio
async def test_what_is_remembered_is_not_asked_for_again() -> None:
    data = camera.streams(COUNT)
    sender = _Sender({f"{number}.dfc": one for number, one in enumerate(data)})
    beginnings = sender.beginnings()
    newest, _ = Header.parse(data[2])
    expected = [data[1][: camera.HALF], data[0][: camera.HALF]]
    assert await beginnings.of("2.dfc", newest) == expected
    assert sender.asked == [("1.dfc", 0), ("0.dfc", 0)]
    assert await beginnings.of("2.dfc", newest) == expected
    assert len(sender.asked) == 2
    beginnings.note("0.dfc", b"another")
    assert await beginnings.of("2.dfc", newest) == expected
    assert sender.asked[2:] == [("0.dfc", 0)]
    for number in range(4):
        beginnings.note(str(number), bytes(MOST_RECENT // 2))
    await beginnings.of("2.dfc", newest)
    assert sender.asked[3:] == [("1.dfc", 0), ("0.dfc", 0)]


@pytest.mark.asyncio
async def test_a_cache_that_has_another_stream_begins_anew(tmp_path: Path) -> None:
    data = camera.streams(2)
    sender = _Sender({"0.dfc": data[0]})
    begun, _ = Header.parse(data[1])
    for stale in (b"DFC of another picture", bytes(1000), data[0][:100], data[0]):
        address = replace(Address.parse("ws://station"), image="0.dfc")
        with Store(tmp_path).open(address) as kept:
            kept.restart()
            kept.append(stale)
        found = await sender.beginnings(tmp_path).of("1.dfc", begun)
        assert found == [data[0][: camera.HALF]]
        with Store(tmp_path).open(address) as kept:
            assert kept.read().startswith(found[0])
    (tmp_path / "file").touch()
    assert await sender.beginnings(tmp_path / "file").of("1.dfc", begun)  # in memory, then


@pytest.mark.asyncio
async def test_chains_that_lead_nowhere() -> None:
    sender = _Sender({})
    wrong = said("a.dfc", b"what it should be")
    sender.streams["a.dfc"] = b"what it really is"
    with pytest.raises(MissingReference, match=r"a\.dfc begins otherwise"):
        await sender.beginnings().of("b.dfc", header(wrong))
    with pytest.raises(MissingReference, match="there is no c"):
        await sender.beginnings().of("b.dfc", header(said("c.dfc")))
    sender.streams["a.dfc"] = b"a photograph"
    with pytest.raises(MissingReference, match="is no stream"):
        await sender.beginnings().of("b.dfc", header(said("a.dfc", b"a photograph")))
    vast = replace(said("a.dfc"), size=MOST_BYTES + 1)
    with pytest.raises(MissingReference, match="come before it"):
        await sender.beginnings().of("b.dfc", header(vast))
    endless = header(said("0.dfc")).encode()
    for number in range(102):
        sender.streams[f"{number}.dfc"] = endless
        endless = header(said(f"{number}.dfc", endless)).encode()
    with pytest.raises(MissingReference, match="more than 100 pictures"):
        await sender.beginnings().of("b.dfc", Header.parse(endless)[0])


@pytest.mark.asyncio
async def test_a_link_that_fails_is_no_missing_picture() -> None:
    async def receive(*_: object) -> None:
        await asyncio.sleep(0)
        raise LinkLost("gone")

    beginnings = Beginnings(receive, address=lambda _: Address.parse("ws://station"))
    with pytest.raises(LinkLost):
        await beginnings.of("b.dfc", header(said("a.dfc")))
