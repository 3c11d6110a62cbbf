"""A region that is asked for sharpens first, over a real sender, and nothing else is lost."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import camera
import numpy as np
import pytest
import sources
from numpy.typing import NDArray
from serving import Background, serving

import diffc_client
from diffc_client import Address, MemoryStream, ModelDecoders, Refinement, Sender
from diffc_client.api.demand import Demand, Wish
from diffc_client.cli import fetch as client_fetch
from diffc_client.cli.fetch import Request, fetch
from diffc_client.cli.progress import summary
from diffc_client.remote import websocket
from diffc_client.storage.partial_stream import Kept
from diffc_server import FileOpener, Pipeline, SenderDaemon
from diffc_server.auth import quotas
from diffc_server.catalogue.cameras import Cameras
from diffc_server.websocket import connection
from diffc_stream import save_png
from diffc_stream.codec import extent
from diffc_stream.errors import DestinationError, PeerError, TargetError
from diffc_stream.metrics import psnr
from diffc_stream.picture import load_picture
from diffc_stream.session import Capability, Code, Data, ReceiverSession, Region, Target, Terms

MODEL = sources.by_scale()
MODELS = sources.collection(MODEL)
SIDE = 96
FIRST = 400
"""Bytes of the whole picture before a region."""
LEFT, TOP = (0, 32, 32, 64), (32, 0, 32, 32)


def original() -> NDArray[np.uint8]:
    picture = np.tile(sources.picture(1), (2, 2, 1))[:SIDE, :SIDE].copy()
    picture[40:60, 4:28] = 255
    return picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    folder.mkdir()
    save_png(folder / "a.png", original())
    return folder


@asynccontextmanager
async def station(folder: Path, cameras: Cameras | None = None) -> AsyncIterator[SenderDaemon]:
    pipeline = Pipeline(FileOpener(MODELS))
    async with serving(folder, pipeline=pipeline, cameras=cameras) as daemon:
        yield daemon


@asynccontextmanager
async def visiting(daemon: SenderDaemon, *, plain: bool = False) -> AsyncIterator[Sender]:
    decoders = ModelDecoders(MODELS)
    url = daemon.url
    async with diffc_client.connect(url, decoders=decoders, patience=0.0, plain=plain) as sender:
        yield sender


def quality(refinement: Refinement, rectangle: tuple[int, int, int, int]) -> float:
    left, top, width, height = rectangle
    place = np.s_[top : top + height, left : left + width]
    return psnr(refinement.image[place], original()[place])


async def seen(
    sender: Sender,
    *regions: tuple[int, int, int, int],
    size: int = 600,
    image: str = "a.png",
    kept: Kept | None = None,
) -> list[Refinement]:
    """Ask for a picture, and for one region after the other when the one before is there."""
    delivery = sender.open(image, bytes=FIRST, kept=kept)
    wanted, refinements = [*regions], []
    delivery.sharpen(wanted.pop(0), after=FIRST, bytes=size)
    async for refinement in delivery:
        refinements.append(refinement)
        if wanted and refinement.regions and refinement.regions[-1].bytes == size:
            delivery.sharpen(wanted.pop(0), bytes=size)
    return refinements


@pytest.mark.asyncio
async def test_a_region_sharpens(folder: Path) -> None:
    async with station(folder) as daemon, visiting(daemon) as sender:
        refinements = await seen(sender, LEFT)
    last = refinements[-1]
    assert [refinement.complete for refinement in refinements] == [False] * (
        len(refinements) - 1
    ) + [True]
    assert last.bytes == FIRST
    [region] = last.regions
    assert (region.rectangle, region.bytes) == (LEFT, 600)
    coarse = next(one for one in refinements if one.bytes == FIRST)
    assert quality(last, LEFT) > quality(coarse, LEFT) + 3
    assert region.predicted_psnr == pytest.approx(quality(last, LEFT), abs=3)


@pytest.mark.asyncio
async def test_what_was_brought_stays(folder: Path) -> None:
    async with station(folder) as daemon, visiting(daemon) as sender:
        last = (await seen(sender, LEFT, TOP))[-1]
        only = (await seen(sender, LEFT))[-1]
    assert [region.rectangle for region in last.regions] == [LEFT, TOP]
    left, top, width, height = LEFT
    place = np.s_[top : top + height, left : left + width]
    assert np.array_equal(last.image[place], only.image[place])
    assert quality(last, TOP) > quality(only, TOP) + 3


@pytest.mark.asyncio
async def test_a_region_goes_on_after_a_cut_and_when_asked_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, Region | None]] = []
    opened = ReceiverSession.open

    def noted(self: ReceiverSession, image: str, **options: Any) -> int:
        asked.append((options["start"], options["region"]))
        return opened(self, image, **options)

    monkeypatch.setattr(ReceiverSession, "open", noted)
    decoders = ModelDecoders(MODELS)
    async with (
        station(folder) as daemon,
        diffc_client.connect(daemon.url, decoders=decoders, patience=60.0) as sender,
    ):
        undisturbed = (await seen(sender, LEFT))[-1]
        asked.clear()
        delivery, regions = sender.open("a.png", bytes=FIRST), 0
        delivery.sharpen(LEFT, after=FIRST, bytes=300)
        async for refinement in delivery:
            if refinement.regions and not regions:
                # The same again, further, and over another link.
                regions += 1
                link = await sender.dial()
                assert isinstance(link, websocket.Link)
                link._websocket.transport.abort()
                delivery.sharpen((4, 40, 20, 40), bytes=600)
    assert np.array_equal(refinement.image, undisturbed.image)
    parts = [(start, region) for start, region in asked if region is not None]
    assert len({region for _, region in parts}) == 1
    assert parts[0][0] == 0
    assert 0 < parts[-1][0] < 600


@pytest.mark.asyncio
async def test_it_can_be_stopped(folder: Path) -> None:
    async with station(folder) as daemon, visiting(daemon) as sender:
        delivery = sender.open("a.png", bytes=FIRST)
        delivery.sharpen(LEFT, after=FIRST, psnr=99)
        async for refinement in delivery:
            if refinement.regions:
                delivery.sharpen(None)
        assert refinement.complete
        assert refinement.regions
        # ... and so can all of it, at once.
        delivery = sender.open("a.png", bytes=FIRST)
        delivery.sharpen(LEFT, after=FIRST, psnr=99)
        async for refinement in delivery:
            if refinement.regions:
                break
        await delivery.aclose()


@pytest.mark.parametrize(
    "region", [(-1, 0, 5, 5), (0, -1, 5, 5), (0, 0, 0, 5), (0, 0, 5, -3)], ids=str
)
def test_what_is_no_rectangle(region: tuple[int, int, int, int]) -> None:
    with pytest.raises(TargetError, match="is not LEFT,TOP,WIDTH,HEIGHT in pixels"):
        Demand().sharpen(Wish(region))


@pytest.mark.asyncio
@pytest.mark.parametrize("region", [(0, 0, 97, 1), (96, 0, 1, 1), (0, 0, 1, 10**9)], ids=str)
async def test_beyond_the_picture(folder: Path, region: tuple[int, int, int, int]) -> None:
    async with station(folder) as daemon, visiting(daemon) as sender:
        with pytest.raises(TargetError, match="is not within the picture, which has 96x96 pixels"):
            await seen(sender, region)


@pytest.mark.asyncio
async def test_where_there_are_no_regions(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with station(folder) as daemon:
        http = daemon.url.replace("ws://", "http://")
        decoders = ModelDecoders(MODELS)
        async with diffc_client.connect(http, decoders=decoders, patience=0.0) as sender:
            with pytest.raises(PeerError, match="regions come only from senders"):
                await seen(sender, LEFT, image="a.png.dfc")
        async with visiting(daemon, plain=True) as sender:
            with pytest.raises(PeerError, match="but you read dfc1, dfc2, dfc3, dfc5 only"):
                await seen(sender, LEFT)
        monkeypatch.setattr(connection, "CAPABILITIES", (Capability.DFC2, Capability.DFC4))
        async with visiting(daemon) as sender:
            with pytest.raises(PeerError, match="regions come only from senders"):
                await seen(sender, LEFT)


async def refusal(sender: Sender, region: Region, image: str = "a.png") -> PeerError:
    link = await sender.dial()
    assert isinstance(link, websocket.Link)
    assert await link.regions()
    with pytest.raises(PeerError) as error:
        await link.open(image, region=region, target=Target(bytes=300)).next()
    assert "\n" not in str(error.value)
    return error.value


@pytest.mark.asyncio
async def test_what_a_sender_refuses(folder: Path) -> None:
    kept = MemoryStream()
    async with station(folder) as daemon, visiting(daemon) as sender:
        await sender.receive("a.png", kept, bytes=FIRST)
        (folder / "ready.dfc").write_bytes(kept.read())
        digest = kept.prefix
        assert digest is not None
        good = Region(left=0, top=0, width=1, height=1, size=FIRST, digest=digest)
        link = await sender.dial()
        assert isinstance(link, websocket.Link)
        begun = await link.open("a.png", region=good, target=Target(bytes=300)).next()
        assert isinstance(begun, Data)
        beyond = replace(good, left=3), replace(good, top=2, height=2), replace(good, width=2048)
        for region in beyond:
            error = await refusal(sender, region)
            assert error.code == Code.UNKNOWN_REGION
            assert "the region reaches beyond the picture" in str(error)
            assert not error.retry
        # The picture has been replaced, or the bytes are no picture yet.
        error = await refusal(sender, replace(good, digest="0" * 16))
        assert error.code == Code.PREFIX_MISMATCH
        assert "the first 400 bytes differ from yours: it has been replaced" in str(error)
        few = MemoryStream()
        few.append(kept.read()[:5])
        assert few.prefix is not None
        error = await refusal(sender, replace(good, size=5, digest=few.prefix))
        assert "5 bytes of the picture are too few for a region of it" in str(error)
        error = await refusal(sender, good, "ready.dfc")
        assert "there is no picture to encode a part of" in str(error)
        error = await refusal(sender, good, "none.png")
        assert error.code == Code.UNKNOWN_IMAGE
        # What a receiver holds of the region is compared, too.
        stream = link.open("a.png", region=good, start=300, prefix="0" * 16)
        with pytest.raises(PeerError, match="the first 300 bytes differ from yours: start again"):
            await stream.next()


@pytest.mark.asyncio
async def test_only_so_many_new_regions(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "REGIONS", 2)
    async with station(folder) as daemon, visiting(daemon) as sender:
        assert len((await seen(sender, LEFT, TOP))[-1].regions) == 2
        # The same again is there already.
        assert len((await seen(sender, TOP, LEFT))[-1].regions) == 2
        with pytest.raises(PeerError, match="too many regions in a short time") as error:
            await seen(sender, (64, 64, 32, 32))
        assert error.value.retry
        assert error.value.after is not None
        assert 0 < error.value.after <= quotas.REGION_EVERY


@pytest.mark.asyncio
async def test_a_picture_of_a_camera(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extent, "MOST_BPP", 1.5)
    (folder / "a.png").unlink()
    for number in range(3):
        picture = original()
        picture[40:44, 40 + 4 * number : 44 + 4 * number] = 0
        save_png(folder / f"{number}.png", picture)
        os.utime(folder / f"{number}.png", (camera.TAKEN + 60 * number,) * 2)
    async with station(folder, Cameras()) as daemon, visiting(daemon) as sender:
        kept = MemoryStream()
        refinements = await seen(sender, (0, 0, 32, 32), image="2.png", size=300, kept=kept)
    assert kept.header is not None
    assert kept.header.reference is not None
    [region] = refinements[-1].regions
    assert region.bytes == 300
    coarse = next(one for one in refinements if not one.regions)
    assert quality(refinements[-1], (0, 0, 32, 32)) > quality(coarse, (0, 0, 32, 32))


@pytest.mark.asyncio
async def test_borders_of_odd_pictures(folder: Path) -> None:
    save_png(folder / "a.png", original()[:70, :65])
    async with station(folder) as daemon, visiting(daemon) as sender:
        last = (await seen(sender, (64, 69, 1, 1), size=60))[-1]
    [region] = last.regions
    assert region.rectangle == (64, 64, 1, 6)


@pytest.mark.asyncio
async def test_get_writes_the_region(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    async with station(folder) as daemon:
        request = Request(
            address=Address.parse(f"{daemon.url}/a.png"),
            out=out,
            target=Target(bytes=1000),
            region=LEFT,
            terms=Terms(),
            patience=0.0,
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(client_fetch, "COARSE", Target(bpp=0.5))
            fetched = await fetch(request, ModelDecoders(MODELS), lambda _: None)
        keeping = replace(request, keep_stream=tmp_path / "a.dfc")
        with pytest.raises(DestinationError, match="not with --region"):
            await fetch(keeping, ModelDecoders(MODELS), lambda _: None)
    assert fetched.bytes == 250
    [region] = fetched.regions
    assert (region.rectangle, region.bytes) == (LEFT, 750)
    assert "250 bytes, " in summary(fetched)
    assert "; region 750 bytes, about " in summary(fetched)
    left, top, width, height = LEFT
    place = np.s_[top : top + height, left : left + width]
    written, rest = load_picture(out), np.s_[:, 32:]
    assert psnr(written[place], original()[place]) > psnr(written[rest], original()[rest]) + 3


def test_from_another_thread(folder: Path) -> None:
    shown: list[Refinement] = []
    with Background(folder, FileOpener(MODELS)) as url:
        watch = diffc_client.watch(
            f"{url}/a.png", shown.append, bytes=FIRST, decoders=ModelDecoders(MODELS)
        )
        watch.sharpen(LEFT, after=FIRST, bytes=300)
        watch.wait()
    assert shown[-1].complete
    assert [region.rectangle for region in shown[-1].regions] == [LEFT]
