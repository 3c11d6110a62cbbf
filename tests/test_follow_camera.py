"""A sender whose pictures start from one another, and receivers that know how, or do not."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import camera
import numpy as np
import pytest
import sources
from http_client import ask
from numpy.typing import NDArray
from serving import serving

import diffc_client
from diffc_client import MemoryStream, ModelDecoders, Sender
from diffc_client.cli.fetch import Request, fetch
from diffc_client.remote import websocket
from diffc_client.remote.address import Address
from diffc_client.storage.references import Beginnings
from diffc_server import FileOpener, Pipeline, SenderDaemon, Store, open_store
from diffc_server.catalogue.cameras import Cameras
from diffc_stream.codec import Decoder, Encoder, extent
from diffc_stream.container import Facts, Header
from diffc_stream.errors import MissingReference, PeerError
from diffc_stream.metrics import psnr
from diffc_stream.picture import load_picture
from diffc_stream.references import References, among
from diffc_stream.session import Capability, Code, Reason, Target, Terms

MODELS = sources.collection(camera.MODEL)
OLD = (Capability.DFC1, Capability.DFC2, Capability.DFC3)
COUNT = 4
START = 768
"""Bytes of each picture that the next starts from: 1.5 bits per pixel."""


@pytest.fixture(autouse=True)
def _enough_to_start_from(monkeypatch: pytest.MonkeyPatch) -> None:
    # Pictures as small as these are too coarse for each other at half a bit per pixel.
    monkeypatch.setattr(extent, "MOST_BPP", 1.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return camera.photograph(tmp_path / "served", COUNT)


@asynccontextmanager
async def station(
    folder: Path, *, store: Store | None = None, key_every: float = 3600, slots: int = 64
) -> AsyncIterator[SenderDaemon]:
    pipeline = Pipeline(FileOpener(MODELS), store=store, slots=slots)
    async with serving(folder, pipeline=pipeline, cameras=Cameras(key_every)) as daemon:
        yield daemon


@asynccontextmanager
async def visiting(
    daemon: SenderDaemon, *, http: bool = False, plain: bool = False
) -> AsyncIterator[Sender]:
    url = daemon.url.replace("ws://", "http://") if http else daemon.url
    decoders = ModelDecoders(MODELS)
    async with diffc_client.connect(url, decoders=decoders, patience=0.0, plain=plain) as sender:
        yield sender


async def received(
    sender: Sender, image: str, size: int, kept: MemoryStream | None = None
) -> bytes:
    kept = kept or MemoryStream()
    assert await sender.receive(image, kept, bytes=size) is Reason.TARGET
    return kept.read()


def single(number: int, size: int) -> bytes:
    """The stream of a frame by itself."""
    return b"".join(Encoder(camera.frames(COUNT)[number], camera.MODEL, target_bytes=size))


def quality(data: bytes, number: int, files: list[bytes]) -> float:
    decoder = Decoder(MODELS, references=References(MODELS, among(files)))
    decoder.feed(data)
    return psnr(decoder.render().image, camera.frames(COUNT)[number])


async def newest(sender: Sender, image: str, size: int) -> NDArray[np.uint8]:
    async for refinement in sender.open(image, bytes=size):
        assert refinement.bytes <= size
    return refinement.image


@pytest.mark.asyncio
@pytest.mark.parametrize("http", [False, True])
async def test_each_picture_starts_from_the_one_before(folder: Path, http: bool) -> None:
    suffix = ".dfc" if http else ""
    async with station(folder) as daemon, visiting(daemon, http=http) as sender:
        data = [
            await received(sender, f"{number}.png{suffix}", START + 200) for number in range(COUNT)
        ]
        async with visiting(daemon, http=http) as another:
            seen = await newest(another, f"3.png{suffix}", START + 200)
    headers = [Header.parse(one)[0] for one in data]
    assert headers[0].reference is None
    assert data[0] == single(0, START + 200)
    for number in range(1, COUNT):
        said = headers[number].reference
        assert said is not None
        assert (said.name, said.size) == (f"{number - 1}.png.dfc", START)
        assert said.matches(data[number - 1])
    decoder = Decoder(MODELS, references=References(MODELS, among(data)))
    decoder.feed(data[3])
    assert np.array_equal(decoder.render().image, seen)
    # 250 bytes are as good as two thirds of what the frame before took.
    assert quality(data[3][:250], 3, data) > quality(single(3, 500), 3, [])


@pytest.mark.asyncio
async def test_receivers_of_before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with station(folder) as daemon:
        with monkeypatch.context() as patch:
            patch.setattr(websocket, "CAPABILITIES", OLD)
            async with visiting(daemon) as sender:
                old = await received(sender, "1.png", 300)
        assert old == single(1, 300)
        # Who has learned it meanwhile goes on with what is there.
        async with visiting(daemon) as sender:
            kept = MemoryStream()
            kept.append(old)
            assert await received(sender, "1.png", 500, kept) == single(1, 500)
            kept = MemoryStream()
            kept.append(b"DFC of another picture")
            with pytest.raises(PeerError) as error:
                await received(sender, "1.png", 500, kept)
            assert error.value.code == Code.PREFIX_MISMATCH
            assert Header.parse(await received(sender, "1.png", 300))[0].reference is not None


@pytest.mark.asyncio
@pytest.mark.parametrize("http", [False, True])
async def test_who_wants_it_without(folder: Path, http: bool) -> None:
    suffix = ".dfc" if http else ""
    async with station(folder) as daemon, visiting(daemon, http=http, plain=True) as sender:
        assert await received(sender, f"2.png{suffix}", 300) == single(2, 300)


@pytest.mark.asyncio
@pytest.mark.parametrize("store", [False, True])
async def test_get_asks_for_it_without_if_it_has_to(
    folder: Path, tmp_path: Path, store: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(_: Beginnings, image: str, header: Header) -> list[bytes]:
        raise MissingReference(f"what {image} starts from", "it is gone")

    async with station(folder) as daemon:
        request = Request(
            address=Address.parse(f"{daemon.url}/1.png"),
            out=tmp_path / "out.png",
            target=Target(bytes=300),
            store=tmp_path / "cache" if store else None,
            terms=Terms(),
            patience=0.0,
        )
        monkeypatch.setattr(Beginnings, "of", nothing)
        await fetch(request, ModelDecoders(MODELS), lambda _: None)
    decoder = Decoder(MODELS)
    decoder.feed(single(1, 300))
    assert np.array_equal(load_picture(tmp_path / "out.png"), decoder.render().image)
    # If there is none, the first error says what it was.
    camera.write(tmp_path / "ready", 2)
    async with serving(tmp_path / "ready") as daemon:
        request = replace(request, address=Address.parse(f"{daemon.url}/1.dfc"))
        with pytest.raises(MissingReference, match="it is gone"):
            await fetch(request, ModelDecoders(MODELS), lambda _: None)


@pytest.mark.asyncio
async def test_a_stream_that_is_kept_needs_no_other(folder: Path, tmp_path: Path) -> None:
    fresh, begun = tmp_path / "fresh.dfc", tmp_path / "begun.dfc"
    async with station(folder) as daemon:
        async with visiting(daemon) as sender:
            begun.write_bytes(await received(sender, "1.png", 250))
        for path in (fresh, begun):
            request = Request(
                address=Address.parse(f"{daemon.url}/1.png"),
                out=tmp_path / "out.png",
                target=Target(bytes=300),
                keep_stream=path,
                terms=Terms(),
                patience=0.0,
            )
            await fetch(request, ModelDecoders(MODELS), lambda _: None)
    assert fresh.read_bytes() == single(1, 300)
    assert Header.parse(begun.read_bytes())[0].reference is not None
    assert begun.stat().st_size == 300


@pytest.mark.asyncio
async def test_without_on_the_web(folder: Path) -> None:
    async with station(folder) as daemon:
        answers = [
            await ask(daemon, f"/1.png.dfc{query}", "Range: bytes=0-299")
            for query in ("", "?plain", "?other")
        ]
    with_it, plain, other = (answer.body for answer in answers)
    assert plain == single(1, 300)
    assert with_it == other
    assert Header.parse(with_it)[0].reference is not None
    tags = [answer.tag for answer in answers]
    assert tags[0] == tags[2] != tags[1]


@pytest.mark.asyncio
async def test_it_goes_on_after_a_restart(folder: Path, tmp_path: Path) -> None:
    async with station(folder) as daemon, visiting(daemon) as sender:
        whole = await received(sender, "2.png", 600)
    store = open_store(str(tmp_path / "store"))
    kept = MemoryStream()
    for size in (250, 420, 600):
        async with station(folder, store=store) as daemon, visiting(daemon) as sender:
            assert await received(sender, "2.png", size, kept) == whole[:size]
            if size == 420:
                await daemon.abort()
    # With another picture before it, it is another stream.
    camera.photograph(folder, 1)
    (folder / "1.png").unlink()
    async with station(folder, store=store) as daemon, visiting(daemon) as sender:
        with pytest.raises(PeerError) as error:
            await received(sender, "2.png", 700, kept)
        assert error.value.code == Code.PREFIX_MISMATCH
        said = Header.parse(await received(sender, "2.png", 300))[0].reference
        assert said is not None
        assert said.name == "0.png.dfc"


@pytest.mark.asyncio
async def test_one_slot_is_enough(folder: Path) -> None:
    async with station(folder, slots=1) as daemon, visiting(daemon) as sender:
        data = await received(sender, "3.png", 300)
    said = Header.parse(data)[0].reference
    assert said is not None
    assert said.name == "2.png.dfc"


@pytest.mark.asyncio
async def test_key_pictures(folder: Path) -> None:
    (folder / "1.png").write_bytes(b"no picture")
    os.utime(folder / "1.png", (camera.TAKEN + 60,) * 2)
    async with station(folder) as daemon, visiting(daemon) as sender:
        data = [await received(sender, f"{number}.png", 300) for number in (2, 3)]
        with pytest.raises(PeerError):
            await received(sender, "1.png", 300)
    references = [Header.parse(one)[0].reference for one in data]
    assert references[0] is None  # the one before cannot be read
    assert references[1] is not None
    async with station(folder, key_every=60) as daemon, visiting(daemon) as sender:
        assert await received(sender, "3.png", 300) == single(3, 300)


@pytest.mark.asyncio
async def test_metadata_travel_as_well(folder: Path) -> None:
    pipeline = Pipeline(FileOpener(MODELS), describing=FileOpener(MODELS, facts=Facts()))
    async with (
        serving(folder, pipeline=pipeline, cameras=Cameras()) as daemon,
        visiting(daemon) as sender,
    ):
        seen = await newest(sender, "1.png", 300)
    assert seen.shape == (64, 64, 3)
