"""A mirror: what it keeps, in which order, and what it lives through."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import FakeOpener, StreamOpener, stream_of
from mirroring import NAMES, Watcher, asked, files, folder, kept, mirroring
from serving import Impaired, serving

from diffc_client import Mirror
from diffc_client.mirror import transfers as module
from diffc_client.mirror.paths import size_of
from diffc_client.mirror.state import FILE
from diffc_stream.session import Target, Terms
from diffc_stream.transport.impairment import Impairment

__all__ = ["folder", "kept"]
pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]


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
