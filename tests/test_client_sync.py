"""A mirror: what it keeps, in which order, and what it lives through."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeOpener, StreamOpener, stream_of
from serving import Impaired, pictures, serving

from diffc_client import Address, Mirror, Mirrored
from diffc_client.mirror import transfers as module
from diffc_client.mirror.growing_file import GrowingStream
from diffc_client.mirror.paths import size_of
from diffc_client.mirror.state import FILE
from diffc_client.remote.credentials import NO_ACCESS, Access, TokenFile, access_from
from diffc_client.remote.receive_buffer import Arrivals
from diffc_client.remote.websocket import Link
from diffc_server import SenderDaemon
from diffc_server.auth.access_control import AccessControl
from diffc_server.catalogue.watcher import CatalogueWatcher
from diffc_server.websocket import connection
from diffc_stream.errors import PeerError, Unauthorized
from diffc_stream.session import Capability, Catalogue, Code, Entry, Target, Terms
from diffc_stream.session.paging import Page
from diffc_stream.transport.backoff import Backoff
from diffc_stream.transport.impairment import Impairment
from diffc_stream.transport.tokens import Tokens, add_token

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]

NAMES = ("a.png", "b.png", "sub/c.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    folder = tmp_path / "kept"
    folder.mkdir()
    return folder


class Watcher:
    """Sees what a mirror keeps, and can be waited for."""

    def __init__(self) -> None:
        self.grown: list[tuple[str, int]] = []
        self.complete: list[str] = []
        self.mirror: Mirror

    def __call__(self, mirrored: Mirrored) -> None:
        self.grown.append((mirrored.name, mirrored.bytes))
        if mirrored.complete:
            self.complete.append(mirrored.name)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(3600):
            while not condition():  # noqa: ASYNC110 - files are looked at, too
                await asyncio.sleep(0.25)

    async def until_complete(self, *names: str) -> None:
        await self.until(lambda: set(names) <= set(self.complete))


@asynccontextmanager
async def mirroring(
    kept: Path, url: str, *, access: Access | TokenFile = NO_ACCESS, **options: Any
) -> AsyncIterator[Watcher]:
    watcher = Watcher()
    backoff = Backoff(first=0.1, longest=1.0, patience=None, draw=lambda: 1.0)
    async with Mirror(kept, backoff=backoff, on_change=watcher, **options) as mirror:
        watcher.mirror = mirror
        running = asyncio.create_task(mirror.run(Address.parse(url), access=access))
        try:
            yield watcher
            assert not running.done()
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


def files(home: Path) -> list[str]:
    """Return all files but the mirror's own notes."""
    found = (path for path in home.rglob("*") if path.is_file() and not is_notes(path))
    return sorted(str(path.relative_to(home)) for path in found)


def is_notes(path: Path) -> bool:
    return path.name.startswith(".diffc-written-")


def asked(caplog: pytest.LogCaptureFixture, name: str) -> list[int]:
    """From which bytes on a stream was asked for."""
    return [int(text.rpartition(" ")[2]) for text in caplog.messages if f" gets {name} " in text]


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "diffc_server")


async def test_what_a_sender_has_and_what_it_gets(folder: Path, kept: Path) -> None:
    (folder / "ready.dfc").write_bytes(b"0f0f0f0f")
    async with serving(folder) as daemon, mirroring(kept, daemon.url) as watcher:
        await watcher.until_complete(*NAMES, "ready.dfc")
        assert (watcher.mirror.pictures, watcher.mirror.missing) == (4, 0)
        (folder / "sub" / "new.png").write_bytes(b"new")
        await watcher.until_complete("sub/new.png")
        assert watcher.mirror.folder == kept
    assert files(kept) == [
        *(FILE, "a.png.dfc", "b.png.dfc", "ready.dfc", "sub/c.jpg.dfc", "sub/new.png.dfc")
    ]
    for name in files(kept)[1:]:
        held = name if name == "ready.dfc" else name.removesuffix(".dfc")
        assert (kept / name).read_bytes() == stream_of(Path(held).name, 5000)


async def test_what_is_here_is_not_asked_for_again(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(folder) as daemon:
        async with mirroring(kept, daemon.url) as watcher:
            await watcher.until_complete(*NAMES)
        (folder / "new.png").write_bytes(b"new")
        caplog.clear()
        async with mirroring(kept, daemon.url) as watcher:
            await watcher.until_complete("new.png")
    assert not any(asked(caplog, name) for name in NAMES)
    assert asked(caplog, "new.png") == [0, 256]


async def test_a_file_that_was_changed_is_somebodys_and_stays(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(folder) as daemon:
        async with mirroring(kept, daemon.url) as watcher:
            await watcher.until_complete(*NAMES)
        whole = (kept / "a.png.dfc").read_bytes()
        (kept / "a.png.dfc").write_bytes(whole[:1000])
        changed = bytes([whole[0] ^ 1]) + (kept / "b.png.dfc").read_bytes()[1:]
        before = (kept / "b.png.dfc").stat()
        (kept / "b.png.dfc").write_bytes(changed)
        os.utime(kept / "b.png.dfc", ns=(before.st_atime_ns, before.st_mtime_ns))
        (folder / "b.png").write_bytes(b"another")
        (folder / "sub" / "c.jpg").unlink()
        async with mirroring(kept, daemon.url, delete=True) as watcher:
            await watcher.until(lambda: caplog.text.count("it is kept") == 2)
            (folder / "a.png").unlink()
            (folder / "b.png").unlink()
            await watcher.until(lambda: caplog.text.count(" is kept") >= 4)
    assert (kept / "a.png.dfc").read_bytes() == whole[:1000]
    assert (kept / "b.png.dfc").read_bytes() == changed
    assert files(kept) == [FILE, "a.png.dfc", "b.png.dfc"]


async def test_ten_cuts_and_no_byte_comes_twice(
    folder: Path, kept: Path, impaired: Impaired, caplog: pytest.LogCaptureFixture
) -> None:
    """Over 2 kB/s, while one is added and one is replaced, it ends as the sender is."""
    length = 5000
    streams = {name: stream_of(name, length) for name in ("a.png", "b.png", "c.jpg", "new.png")}
    slow = Impairment(rate=2000.0, delay=0.3)
    places = (150, 900, 2500, 1100, 3000, 700, 2000, 1600, 2200, 1900)
    cuts = [replace(slow, cut_after=place) for place in places]
    async with serving(folder, StreamOpener(streams)) as daemon:
        link = await impaired(daemon, down=[*cuts, slow], up=Impairment(delay=0.3))
        async with mirroring(kept, f"ws://127.0.0.1:{link.port}") as watcher:
            await watcher.until(lambda: len(link.connections) == 4)
            (folder / "new.png").write_bytes(b"new")
            await watcher.until(lambda: len(link.connections) == 7)
            streams["a.png"] = stream_of("another", length)
            (folder / "a.png").write_bytes(b"another")
            await watcher.until_complete(*NAMES, "new.png")
            await watcher.until(
                lambda: (kept / "a.png.dfc").read_bytes() == stream_of("another", length)
            )
            await watcher.until(lambda: watcher.mirror.missing == 0)
        assert len(link.connections) == len(cuts) + 1
        needed = 5 * length
        # Half a message is lost with every cut; the rest is what framing and greetings cost.
        assert link.carried_down < 1.05 * needed + (len(cuts) + 1) * 1300
        assert link.carried_up < 0.05 * needed + (len(cuts) + 1) * 1200
    for name in (*NAMES, "new.png"):
        assert (kept / f"{name}.dfc").read_bytes() == streams[Path(name).name]
    # Every byte was asked for where the last one had come.
    assert asked(caplog, "b.png") == sorted(asked(caplog, "b.png"))


async def test_first_bytes_of_all_come_before_last_bytes_of_any(
    folder: Path, kept: Path, impaired: Impaired, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty pictures and more, four streams: in rounds, the newest first."""
    monkeypatch.setattr(module, "AT_ONCE_AT_FIRST", 4)
    names = [f"{number:02}.png" for number in range(20)]
    for age, name in enumerate([*NAMES, *reversed(names)]):
        (folder / name).write_bytes(name.encode())
        os.utime(folder / name, (1_000_000 - age, 1_000_000 - age))
    opener = FakeOpener(length=3000)
    async with serving(folder, opener, terms=Terms(streams=4)) as daemon:
        link = await impaired(daemon, down=Impairment(rate=5000.0))
        async with mirroring(kept, f"ws://127.0.0.1:{link.port}") as watcher:
            await watcher.until(lambda: len(set(watcher.complete)) == 23)
    sizes = [256, 1024, 3000]
    turns = [[name for name, size in watcher.grown if size == wanted] for wanted in sizes]
    assert all(len(turn) == 23 for turn in turns[:2])
    firsts = [watcher.grown.index((name, 256)) for name in names]
    assert max(firsts) < min(watcher.grown.index((name, 3000)) for name in names)
    assert max(firsts) < min(watcher.grown.index((name, 1024)) for name in names)
    # Four are under way at once.
    for place, name in enumerate([*NAMES, *reversed(names)]):
        assert abs(place - turns[0].index(name)) < 4


async def test_what_is_new_gets_its_first_bytes_before_others_go_on(
    folder: Path, kept: Path, impaired: Impaired, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE_AT_FIRST", 3)
    opener = FakeOpener(length=12_000)
    async with serving(folder, opener, terms=Terms(streams=3)) as daemon:
        link = await impaired(daemon, down=Impairment(rate=2000.0), up=Impairment(delay=0.1))
        async with mirroring(kept, f"ws://127.0.0.1:{link.port}") as watcher:
            await watcher.until((kept / "a.png.dfc").exists)
            await asyncio.sleep(5)
            began = asyncio.get_running_loop().time()
            (folder / "new.png").write_bytes(b"new")
            new = kept / "new.png.dfc"
            await watcher.until(lambda: new.exists() and new.stat().st_size >= 256)
            # Two looks at the folder, and what was under way.
            assert asyncio.get_running_loop().time() - began < 6
            await watcher.until_complete(*NAMES, "new.png")
    for name in (*NAMES, "new.png"):
        assert (kept / f"{name}.dfc").read_bytes() == stream_of(Path(name).name, 12_000)


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
        await mirror._take(said("a.png", changes=False), first=True)
        link: Any = Refusing()
        receiving = tasks.create_task(mirror._transfers.receive_all(link, tasks, lambda: None))
        await asyncio.sleep(0)
        # It has its turn, and has not begun.
        await mirror._take(said(removed=("a.png",)), first=True)
        await asyncio.sleep(1)
        assert asked_for == ["a.png"]
        assert mirror.pictures == 0
        receiving.cancel()


async def test_targets_and_going_beyond_them(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(folder) as daemon:
        for size in (1000, 3000):
            target = Target(bytes=size)
            caplog.clear()
            async with mirroring(kept, daemon.url, target=target) as watcher:
                await watcher.until_complete(*NAMES)
            assert {name.endswith(".dfc") and size_of(kept / name) for name in files(kept)} == {
                False,
                size,
            }
        assert asked(caplog, "a.png") == [1000]
        caplog.clear()
        async with mirroring(kept, daemon.url, target=target) as watcher:
            (folder / "new.png").write_bytes(b"new")
            await watcher.until_complete("new.png")
        assert asked(caplog, "a.png") == []


async def test_no_more_disk_than_allowed(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    opener = FakeOpener(length=20_000)
    async with (
        serving(folder, opener) as daemon,
        mirroring(kept, daemon.url, most_bytes=40_000, delete=True) as watcher,
    ):
        await watcher.until(lambda: "as much as may be filled" in caplog.text)
        await asyncio.sleep(600)
        assert sum(size_of(kept / name) for name in files(kept) if name != FILE) <= 40_000
        assert watcher.mirror.missing > 0
        # Room is made by deleting.
        (folder / "b.png").unlink()
        (folder / "sub" / "c.jpg").unlink()
        await watcher.until(lambda: watcher.mirror.pictures == 1)
        await watcher.until_complete("a.png")
    assert caplog.text.count("as much as may be filled") == 1


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
    assert "as much as may be filled" not in caplog.text


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
            await watcher.until(lambda: "as much as may be filled" in caplog.text)
    assert size_of(kept / "new.png.dfc") == 0


async def test_a_mirror_at_a_time(kept: Path) -> None:
    async with Mirror(kept):
        with pytest.raises(OSError, match="another mirror is kept there"):
            async with Mirror(kept):
                pass
    async with Mirror(kept):
        pass


async def test_what_was_not_rendered_is_announced_at_first(folder: Path, kept: Path) -> None:
    async with serving(folder) as daemon, mirroring(kept, daemon.url) as watcher:
        await watcher.until_complete(*NAMES)
    for name in NAMES[:2]:
        (kept / f"{name}.png").write_bytes(b"rendered")
    times = (kept / "a.png.dfc").stat().st_mtime_ns
    os.utime(kept / "a.png.png", ns=(times, times))
    os.utime(kept / "b.png.png", ns=(times, times - 1))
    async with Mirror(kept, on_change=(again := Watcher())):
        assert sorted(again.grown) == [("b.png", 5000), ("sub/c.jpg", 5000)]
        assert sorted(again.complete) == ["b.png", "sub/c.jpg"]


async def test_what_cannot_be_kept_or_sent_is_said_and_lived_through(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "bad.png").write_bytes(b"broken")
    (kept / "sub").write_bytes(b"in the way")
    async with serving(folder) as daemon, mirroring(kept, daemon.url) as watcher:
        await watcher.until_complete("a.png", "b.png")
        await watcher.until(lambda: "bad.png: the peer says" in caplog.text)
        await watcher.until(lambda: "sub/c.jpg: " in caplog.text)
        # What is in the way may go.
        (kept / "sub").unlink()
        await watcher.until_complete("sub/c.jpg")
        (folder / "bad.png").write_bytes(b"better")
        await watcher.until_complete("bad.png")


async def test_what_is_refused_is_asked_for_once_until_it_is_another(
    folder: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    open_ = Link.open

    def noted(link: Link, image: str, **options: Any) -> Arrivals:
        opened.append(image)
        return open_(link, image, **options)

    monkeypatch.setattr(Link, "open", noted)
    (folder / "bad.png").write_bytes(b"broken")
    opener = FakeOpener()
    async with serving(folder, opener) as daemon:
        async with mirroring(kept, daemon.url) as watcher:
            await watcher.until_complete(*NAMES)
            await watcher.until(lambda: watcher.mirror.missing == 0)
            assert (await watcher.mirror.counting.count()).refused == 1
            for conversation in tuple(daemon._conversations):
                conversation.abort()
            (folder / "new.png").write_bytes(b"new")
            await watcher.until_complete("new.png")
        # Nor after a restart.
        async with mirroring(kept, daemon.url) as watcher:
            (folder / "newer.png").write_bytes(b"newer")
            await watcher.until_complete("newer.png")
            assert opened.count("bad.png") == 1
            (folder / "bad.png").write_bytes(b"better")
            await watcher.until_complete("bad.png")
            assert (await watcher.mirror.counting.count()).refused == 0
    assert opened.count("bad.png") == 3  # its first bytes, and the rest


async def test_a_mirror_outlives_tokens_that_are_empty_for_a_while(
    folder: Path, kept: Path, tmp_path: Path
) -> None:
    held, shown = tmp_path / "tokens.toml", tmp_path / "token"
    shown.write_text(add_token(held, "mirror"))
    good = held.read_text()
    access = TokenFile(access_from(shown, None, exposed=False), shown)
    async with (
        serving(folder, reception=AccessControl(tokens=Tokens(held))) as daemon,
        mirroring(kept, daemon.url, access=access) as watcher,
    ):
        await watcher.until_complete(*NAMES)
        held.write_text("")
        shown.write_text("")
        os.utime(held, (0, 0))  # for longer than it takes to write it
        await daemon.reread()
        await watcher.until(lambda: not watcher.mirror.connected)
        await asyncio.sleep(60)
        held.write_text(good)
        await daemon.reread()
        (folder / "new.png").write_bytes(b"new")
        await watcher.until_complete("new.png")
        # Another token, at both ends.
        held.write_text("# none")
        shown.write_text(add_token(held, "again"))
        await daemon.reread()
        (folder / "newer.png").write_bytes(b"newer")
        await watcher.until_complete("newer.png")


async def test_who_was_never_let_in_is_told(folder: Path, kept: Path, tmp_path: Path) -> None:
    held = tmp_path / "tokens.toml"
    add_token(held, "somebody")
    async with (
        serving(folder, reception=AccessControl(tokens=Tokens(held))) as daemon,
        Mirror(kept) as mirror,
    ):
        with pytest.raises(Unauthorized, match="wants a token"):
            await mirror.run(Address.parse(daemon.url), access=Access.of("wrong", None))


async def test_a_stream_goes_nowhere_else(
    folder: Path, kept: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "target").write_bytes(b"safe")
    (kept / "sub").symlink_to(outside)
    (kept / "a.png.dfc").symlink_to(outside / "target")
    async with serving(folder) as daemon, mirroring(kept, daemon.url) as watcher:
        await watcher.until_complete("b.png")
    assert caplog.text.count("leads through a link") == 2
    assert files(outside) == ["target"]
    assert (outside / "target").read_bytes() == b"safe"


async def test_a_sender_that_does_not_say_what_changes_is_asked(
    folder: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CAPABILITIES", (Capability.DFC1,))
    monkeypatch.setattr(
        connection.Conversation,
        "_list",
        lambda self, request: OLD(self, replace(request, follow=False)),
    )
    async with (
        serving(folder) as daemon,
        mirroring(kept, daemon.url, delete=True, every=7.0) as watcher,
    ):
        await watcher.until_complete(*NAMES)
        (folder / "new.png").write_bytes(b"new")
        (folder / "a.png").unlink()
        await watcher.until_complete("new.png")
        await watcher.until(lambda: watcher.mirror.pictures == 3)
    assert files(kept) == [FILE, "b.png.dfc", "new.png.dfc", "sub/c.jpg.dfc"]


OLD = connection.Conversation._list


async def test_a_catalogue_that_is_held_is_not_sent_again(
    tmp_path: Path, kept: Path, impaired: Impaired
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(150):
        path = folder / f"IMG_{number:04}.png"
        path.write_bytes(str(number).encode())
        os.utime(path, (1_000_000 + number, 1_000_000 + number))
    opener = FakeOpener(length=1)
    async with serving(folder, opener) as daemon:
        link = await impaired(daemon)
        async with mirroring(kept, f"ws://127.0.0.1:{link.port}") as watcher:
            await watcher.until(lambda: watcher.mirror.pictures == 150)
            await watcher.until(lambda: watcher.mirror.missing == 0)
            assert link.carried_down > 150 * 40
            link.cut()
            carried = link.carried_down
            (folder / "IMG_0150.png").write_bytes(b"new")
            await watcher.until_complete("IMG_0150.png")
            # The handshake, WELCOME, a page of one and a byte.
            assert link.carried_down - carried < 600
        again = link.carried_down
        async with mirroring(kept, f"ws://127.0.0.1:{link.port}") as watcher:
            (folder / "IMG_0151.png").write_bytes(b"new")
            await watcher.until_complete("IMG_0151.png")
        assert link.carried_down - again < 600


async def test_nonsense_for_records_is_nothing(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (kept / FILE).write_text(json.dumps({"format": 7}))
    async with serving(folder) as daemon, mirroring(kept, daemon.url) as watcher:
        await watcher.until_complete(*NAMES)
    assert caplog.text.count("is of no use") == 1


async def test_a_sender_that_restarts(folder: Path, kept: Path) -> None:
    daemon: SenderDaemon
    async with serving(folder, FakeOpener(length=9000)) as daemon:
        port = daemon.port
        async with mirroring(kept, daemon.url) as watcher:
            await watcher.until_complete(*NAMES)
            await daemon.drain()
            (folder / "new.png").write_bytes(b"new")
            async with serving(folder, FakeOpener(length=9000), port=port):
                await watcher.until_complete("new.png")
