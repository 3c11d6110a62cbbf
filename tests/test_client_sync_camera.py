"""A mirror of a fixed camera has what its streams start from."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

import camera
import numpy as np
import pytest
from fakes import FakeOpener
from mirroring import asked, files, mirroring
from serving import serving, settled
from sources import collection

from diffc_client import Address, Mirror, ModelDecoders
from diffc_client.mirror import catalogue_feed
from diffc_client.mirror.renderer import Renderer
from diffc_client.mirror.state import FILE
from diffc_server import FileOpener, Pipeline
from diffc_server.catalogue.cameras import Cameras
from diffc_stream.codec import Decoder, extent
from diffc_stream.picture import load_picture
from diffc_stream.references import References, among
from diffc_stream.session import Target

MODELS = collection(camera.MODEL)
LITTLE = Target(bytes=200)
pytestmark = pytest.mark.asyncio


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return camera.write(tmp_path / "served", 3)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def sizes(kept: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(kept.glob("*.dfc"))}


@pytest.mark.virtual_time
async def test_the_first_bytes_come_as_far_as_others_need_them(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "diffc_server")
    needed = {"0.dfc": camera.HALF, "1.dfc": camera.HALF, "2.dfc": 200}
    async with serving(folder, FakeOpener()) as daemon:
        async with mirroring(kept, daemon.url, target=LITTLE) as watcher:
            await watcher.until_complete("0.dfc", "1.dfc", "2.dfc")
        assert sizes(kept) == needed
        caplog.clear()
        async with mirroring(kept, daemon.url, target=LITTLE) as watcher:
            await watcher.until(lambda: watcher.mirror.missing == 0)
        assert [asked(caplog, name) for name in needed] == [[], [], []]
        # The rest comes with another target.
        async with mirroring(kept, daemon.url, target=Target(bytes=700)) as watcher:
            await watcher.until_complete("0.dfc", "1.dfc", "2.dfc")
        assert sizes(kept) == {"0.dfc": 700, "1.dfc": 700, "2.dfc": 700}


@pytest.mark.virtual_time
async def test_targets_of_quality_go_on_beyond_that(folder: Path, kept: Path) -> None:
    async with (
        serving(folder, FileOpener(MODELS)) as daemon,
        mirroring(kept, daemon.url, target=Target(bpp=1.5)) as watcher,
    ):
        await watcher.until_complete("0.dfc", "1.dfc", "2.dfc")
    assert set(sizes(kept).values()) == {768}


@pytest.mark.virtual_time
async def test_what_others_start_from_is_deleted_last(folder: Path, kept: Path) -> None:
    async with (
        serving(folder, FakeOpener()) as daemon,
        mirroring(kept, daemon.url, target=LITTLE, delete=True) as watcher,
    ):
        await watcher.until_complete("0.dfc", "1.dfc", "2.dfc")
        (folder / "other.dfc").write_bytes(camera.streams(3)[0])
        await watcher.until_complete("other.dfc")
        for name in ("0.dfc", "1.dfc", "other.dfc"):
            (folder / name).unlink()
        await watcher.until(lambda: not (kept / "other.dfc").exists())
        assert set(sizes(kept)) == {"0.dfc", "1.dfc", "2.dfc"}
        (folder / "2.dfc").rename(folder / "3.dfc")
        await watcher.until(lambda: set(sizes(kept)) == {"3.dfc"})


@pytest.mark.parametrize("scheme", ["ws", "http"])
async def test_a_single_picture_brings_what_it_needs(folder: Path, kept: Path, scheme: str) -> None:
    async with serving(folder, FakeOpener()) as daemon:
        address = Address.parse(f"{scheme}{daemon.url.removeprefix('ws')}/2.dfc")
        for _ in range(2):  # also after a restart
            async with Mirror(kept, target=LITTLE) as mirror:
                running = asyncio.create_task(mirror.run(address))
                await settled(lambda: mirror.done)
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running
            assert sizes(kept) == {"0.dfc": camera.HALF, "1.dfc": camera.HALF, "2.dfc": 200}


async def test_only_so_many_come_for_a_single_picture(
    folder: Path, kept: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(catalogue_feed, "MOST_BACK", 1)
    async with serving(folder, FakeOpener()) as daemon, Mirror(kept, target=LITTLE) as mirror:
        running = asyncio.create_task(mirror.run(Address.parse(f"{daemon.url}/2.dfc")))
        await settled(lambda: mirror.done)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert sizes(kept) == {"1.dfc": camera.HALF, "2.dfc": 200}
    assert "start from more than 1 others, from 0.dfc among them" in caplog.text


async def test_pictures_are_rendered_once_all_is_there(
    tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extent, "MOST_BPP", 1.5)
    folder = camera.photograph(tmp_path / "camera", 3)
    pipeline = Pipeline(FileOpener(MODELS))
    streams = [kept / f"{number}.png.dfc" for number in range(3)]

    def rendered() -> bool:
        """Tell whether all is there, and each picture as new as its stream."""
        if [path.stat().st_size for path in streams if path.exists()] != [768, 768, 200]:
            return False
        pictures = [path.with_suffix(".png") for path in streams]
        return all(path.exists() for path in pictures) and all(
            picture.stat().st_mtime_ns == stream.stat().st_mtime_ns
            for picture, stream in zip(pictures, streams, strict=True)
        )

    async with (
        serving(folder, pipeline=pipeline, cameras=Cameras()) as daemon,
        Renderer(ModelDecoders(MODELS)) as renderer,
        Mirror(kept, target=LITTLE, on_change=renderer.put) as mirror,
    ):
        running = asyncio.create_task(mirror.run(Address.parse(daemon.url)))
        await settled(rendered)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    data = [path.read_bytes() for path in streams]
    decoder = Decoder(MODELS, references=References(MODELS, among(data)))
    decoder.feed(data[2])
    assert np.array_equal(decoder.render().image, load_picture(kept / "2.png.png"))
    assert FILE in files(kept)
