"""A mirror, and pictures that are replaced, or go, or are more than it may keep."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeOpener, StreamOpener, stream_of
from mirroring import NAMES, asked, files, folder, kept, mirroring
from serving import Impaired, serving

from diffc_client import Mirror
from diffc_client.mirror import transfers as module
from diffc_client.mirror.growing_file import GrowingStream
from diffc_client.mirror.paths import size_of
from diffc_client.mirror.state import FILE
from diffc_server.catalogue.watcher import CatalogueWatcher
from diffc_stream.errors import PeerError
from diffc_stream.session import Catalogue, Code, Entry
from diffc_stream.session.paging import Page
from diffc_stream.transport.impairment import Impairment

__all__ = ["folder", "kept"]
pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "diffc_server")


async def test_one_that_was_replaced_takes_the_place_when_it_is_as_good(
    folder: Path, kept: Path, impaired: Impaired
) -> None:
    streams = {"a.png": stream_of("a", 3000), "b.png": b"", "c.jpg": b""}
    for name in ("b.png", "sub/c.jpg"):
        (folder / name).unlink()
    async with serving(folder, StreamOpener(streams)) as daemon:
        link = await impaired(daemon, down=Impairment(rate=1000.0))
        async with mirroring(kept, f"ws://127.0.0.1:{link.port}") as watcher:
            await watcher.until_complete("a.png")
            streams["a.png"] = stream_of("another", 5000)
            (folder / "a.png").write_bytes(b"another")
            seen = set()

            def settled() -> bool:
                seen.add((kept / "a.png.dfc").read_bytes())
                return watcher.complete.count("a.png") == 2

            await watcher.until(settled)
    assert seen == {stream_of("a", 3000), stream_of("another", 5000)}
    assert files(kept) == [FILE, "a.png.dfc"]


async def test_a_replacement_is_gone_on_with_after_a_restart(
    folder: Path, kept: Path, impaired: Impaired, caplog: pytest.LogCaptureFixture
) -> None:
    streams = {name: stream_of(name, 3000) for name in ("a.png", "b.png", "c.jpg")}
    async with serving(folder, StreamOpener(streams)) as daemon:
        async with mirroring(kept, daemon.url) as watcher:
            await watcher.until_complete(*NAMES)
        streams["a.png"] = stream_of("another", 5000)
        (folder / "a.png").write_bytes(b"another")
        link = await impaired(daemon, down=Impairment(rate=500.0))
        url = f"ws://127.0.0.1:{link.port}"
        async with mirroring(kept, url) as watcher:
            await watcher.until(lambda: len(files(kept)) == 5)
            await asyncio.sleep(4)
        assert (kept / "a.png.dfc").read_bytes() == stream_of("a.png", 3000)
        caplog.clear()
        async with mirroring(kept, url) as watcher:
            await watcher.until_complete("a.png")
    [start] = asked(caplog, "a.png")
    assert start > 500
    assert (kept / "a.png.dfc").read_bytes() == stream_of("another", 5000)


@pytest.mark.parametrize("delete", [False, True])
async def test_what_is_no_more_at_the_sender(folder: Path, kept: Path, delete: bool) -> None:
    (kept / "mine.txt").write_bytes(b"mine")
    (kept / "mine.png.dfc").write_bytes(b"mine")
    async with serving(folder) as daemon:
        async with mirroring(kept, daemon.url, delete=delete) as watcher:
            await watcher.until_complete(*NAMES)
            (folder / "sub" / "c.jpg").unlink()
            await watcher.until(lambda: watcher.mirror.pictures == 2)
        # It may go while nobody looks, too.
        (folder / "b.png").unlink()
        async with mirroring(kept, daemon.url, delete=delete) as watcher:
            await watcher.until(lambda: watcher.mirror.pictures == 1)
    gone = [] if delete else ["b.png.dfc", "sub/c.jpg.dfc"]
    own = ["mine.png.dfc", "mine.txt"]
    assert files(kept) == sorted([FILE, "a.png.dfc", *own, *gone])
    assert (kept / "sub").exists() is not delete


async def test_what_goes_while_it_comes(folder: Path, kept: Path, impaired: Impaired) -> None:
    async with serving(folder, FakeOpener(length=8000)) as daemon:
        link = await impaired(daemon, down=Impairment(rate=2000.0))
        async with mirroring(kept, f"ws://127.0.0.1:{link.port}", delete=True) as watcher:
            await watcher.until((kept / "b.png.dfc").exists)
            (folder / "b.png").unlink()
            await watcher.until_complete("a.png", "sub/c.jpg")
            assert watcher.mirror.pictures == 2
    assert files(kept) == [FILE, "a.png.dfc", "sub/c.jpg.dfc"]


async def test_a_ready_stream_comes_before_the_picture_it_is_of(folder: Path, kept: Path) -> None:
    async with serving(folder) as daemon, mirroring(kept, daemon.url) as watcher:
        await watcher.until_complete(*NAMES)
        (folder / "a.png.dfc").write_bytes(b"0f0f0f0f")
        await watcher.until_complete("a.png.dfc")
        assert (kept / "a.png.dfc").read_bytes() == stream_of("a.png.dfc", 5000)
        (folder / "a.png.dfc").unlink()
        await watcher.until(lambda: watcher.complete.count("a.png") == 2)
        assert (kept / "a.png.dfc").read_bytes() == stream_of("a.png", 5000)
    assert files(kept) == [FILE, "a.png.dfc", "b.png.dfc", "sub/c.jpg.dfc"]


def said(*names: str, removed: tuple[str, ...] = (), changes: bool = True) -> Catalogue:
    """A page of a catalogue."""
    images = tuple(Entry(name=name, size=1, time=1, thumbprint="0" * 16) for name in names)
    return Catalogue(images=images, removed=removed, last=True, changes=changes)


@pytest.mark.parametrize("delete", [False, True])
async def test_one_that_goes_while_it_comes_and_leaves_its_place_to_another(
    folder: Path,
    kept: Path,
    impaired: Impaired,
    delete: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "a.png.dfc").write_bytes(b"0f0f0f0f")

    async def pages(_: object, mark: str | None) -> AsyncIterator[tuple[Page, ...]]:
        yield (Page(said("a.png", changes=False)),)
        while not (kept / "a.png.dfc").exists():  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.25)
        yield (Page(said(removed=("a.png",))), Page(said("a.png.dfc")))
        await asyncio.Event().wait()

    monkeypatch.setattr(CatalogueWatcher, "pages", pages)
    async with serving(folder, FakeOpener(length=8000)) as daemon:
        link = await impaired(daemon, down=Impairment(rate=2000.0))
        url = f"ws://127.0.0.1:{link.port}"
        async with mirroring(kept, url, delete=delete) as watcher:
            await watcher.until_complete("a.png.dfc")
    assert (kept / "a.png.dfc").read_bytes() == stream_of("a.png.dfc", 8000)
    assert files(kept) == [FILE, "a.png.dfc"]


async def test_one_that_goes_before_it_comes(kept: Path) -> None:
    asked_for = []

    class Refusing:
        streams = 1

        def open(self, name: str, **_: object) -> None:
            asked_for.append(name)
            raise PeerError(Code.UNKNOWN_IMAGE, "it has gone")

    async with Mirror(kept) as mirror, asyncio.TaskGroup() as tasks:
        await mirror._feed._take(said("a.png", changes=False), first=True)
        link: Any = Refusing()
        receiving = tasks.create_task(mirror._transfers.receive_all(link, tasks, lambda: None))
        await asyncio.sleep(0)
        # It has its turn, and has not begun.
        await mirror._feed._take(said(removed=("a.png",)), first=True)
        await asyncio.sleep(1)
        assert asked_for == ["a.png"]
        assert mirror.pictures == 0
        receiving.cancel()


async def test_no_more_disk_than_allowed(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opener = FakeOpener(length=20_000)
    async with (
        serving(folder, opener) as daemon,
        mirroring(kept, daemon.url, most_bytes=40_000, delete=True) as watcher,
    ):
        await watcher.until(lambda: "are the limit of disk space" in caplog.text)
        await asyncio.sleep(600)
        assert sum(size_of(kept / name) for name in files(kept) if name != FILE) <= 40_000
        assert watcher.mirror.missing > 0
        # Room is made by deleting.
        (folder / "b.png").unlink()
        (folder / "sub" / "c.jpg").unlink()
        await watcher.until(lambda: watcher.mirror.pictures == 1)
        await watcher.until_complete("a.png")
    assert caplog.text.count("are the limit of disk space") == 1


async def test_a_disk_that_is_full(
    folder: Path, kept: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 4)
    monkeypatch.setattr(module, "AT_ONCE_AT_FIRST", 4)
    for number in range(17):
        (folder / f"{number}.png").write_bytes(b"picture")
    append = GrowingStream.append

    def full(self: GrowingStream, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(GrowingStream, "append", full)
    async with serving(folder) as daemon, mirroring(kept, daemon.url) as watcher:
        await watcher.until(lambda: "No space left on device" in caplog.text)
        await asyncio.sleep(30)
        assert sum(" gets " in text for text in caplog.messages) <= 4
        assert caplog.text.count("No space left on device") == 1
        assert [name for name in files(kept) if name.endswith(".dfc")] == []
        monkeypatch.setattr(GrowingStream, "append", append)
        await watcher.until(lambda: watcher.mirror.pictures == 20 and not watcher.mirror.missing)


async def test_what_was_replaced_takes_no_disk(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    streams = {name: stream_of(name, 9000) for name in ("a.png", "b.png", "c.jpg")}
    async with (
        serving(folder, StreamOpener(streams)) as daemon,
        mirroring(kept, daemon.url, most_bytes=58_192) as watcher,
    ):
        await watcher.until_complete(*NAMES)
        for count in range(2, 8):
            streams["a.png"] = stream_of(f"another {count}", 9000)
            (folder / "a.png").write_bytes(b"another" * count)
            while watcher.complete.count("a.png") < count:  # noqa: ASYNC110 - as in until()
                await asyncio.sleep(0.25)
            assert (kept / "a.png.dfc").read_bytes() == streams["a.png"]
    assert "are the limit of disk space" not in caplog.text


async def test_what_was_taken_back_takes_disk(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(folder) as daemon:
        async with mirroring(kept, daemon.url, most_bytes=32_768) as watcher:
            await watcher.until_complete(*NAMES)
            for name in NAMES:
                (folder / name).unlink()
            await watcher.until(lambda: watcher.mirror.pictures == 0)
        (folder / "new.png").write_bytes(b"new")
        async with mirroring(kept, daemon.url, most_bytes=32_768) as watcher:
            await watcher.until(lambda: "are the limit of disk space" in caplog.text)
    assert size_of(kept / "new.png.dfc") == 0
