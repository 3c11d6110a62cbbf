"""The receiver daemon: what it keeps, and what it lives through."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from fakes import FINGERPRINT, FakeDecoders, FakeOpener, StreamOpener, stream_of
from serving import pictures, serving, settled

from diffc_client import Address, Refinement
from diffc_client.mirror.follower import ReceiverDaemon
from diffc_client.mirror.paths import Place
from diffc_server.websocket.page_window import PageWindow
from diffc_stream.errors import AddressError
from diffc_stream.picture import load_picture
from diffc_stream.session import paging
from diffc_stream.transport.backoff import Backoff


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


class Watcher:
    """Sees what the daemon writes, and can be waited for."""

    def __init__(self) -> None:
        self.complete: list[str] = []
        self.sizes: dict[str, int] = {}
        self._changed = asyncio.Event()

    def __call__(self, name: str, _place: Place, refinement: Refinement) -> None:
        self.sizes[name] = refinement.bytes
        if refinement.complete:
            self.complete.append(name)
        self._changed.set()

    async def until(self, condition: Callable[[Watcher], bool]) -> None:
        async with asyncio.timeout(60):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def keeping(
    kept: Path,
    *urls: str,
    every: float = 60.0,
    models: tuple[str, ...] = (FINGERPRINT,),
    **options: Any,
) -> AsyncIterator[Watcher]:
    watcher = Watcher()
    daemon = ReceiverDaemon(
        [Address.parse(url) for url in urls],
        kept,
        FakeDecoders(models),
        every=every,
        backoff=Backoff(first=0.001, longest=0.01, patience=None),
        on_picture=watcher,
        **options,
    )
    running = asyncio.create_task(daemon.run())
    try:
        yield watcher
        assert not running.done()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def files(home: Path) -> list[str]:
    """Return all files but the daemon's own notes."""
    found = (path for path in home.rglob("*") if path.is_file())
    notes = ".diffc-written-"
    return sorted(str(path.relative_to(home)) for path in found if not path.name.startswith(notes))


@pytest.mark.asyncio
async def test_everything_a_sender_has(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    async with serving(folder) as daemon:
        async with keeping(kept, daemon.url, f"{daemon.url}/a.png") as watcher:
            await watcher.until(lambda w: len(w.complete) == 3)
        home = kept / f"127.0.0.1_{daemon.port}"
    assert files(home) == [
        *("a.png.dfc", "a.png.png", "b.png.dfc", "b.png.png"),
        *("sub/c.jpg.dfc", "sub/c.jpg.png"),
    ]
    assert (home / "a.png.dfc").read_bytes() == stream_of("a.png", 5000)
    assert load_picture(home / "a.png.png")[0, 0, 0] == 5000 % 256


@pytest.mark.asyncio
async def test_the_first_picture_does_not_wait_for_the_last_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "ENTRIES_PER_PAGE", 1)
    come = asyncio.Event()

    async def held_up(_: PageWindow) -> None:
        await come.wait()

    monkeypatch.setattr(PageWindow, "sent", held_up)
    os.utime(folder / "b.png", (2e9, 2e9))
    kept = tmp_path / "kept"
    async with serving(folder) as daemon, keeping(kept, daemon.url) as watcher:
        await watcher.until(lambda w: w.complete == ["b.png"])  # the newest
        come.set()
        await watcher.until(lambda w: len(w.complete) == 3)


@pytest.mark.asyncio
async def test_a_stream_over_plain_http(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    async with serving(folder) as daemon:
        url = daemon.url.replace("ws:", "http:")
        async with keeping(kept, f"{url}/a.png.dfc") as watcher:
            await watcher.until(lambda w: w.complete == ["a.png.dfc"])
        home = kept / f"127.0.0.1_{daemon.port}"
    assert files(home) == ["a.png.dfc.dfc", "a.png.dfc.png"]
    assert (home / "a.png.dfc.dfc").read_bytes() == stream_of("a.png", 5000)


def test_over_plain_http_there_is_no_everything(tmp_path: Path) -> None:
    with pytest.raises(AddressError, match="names no picture"):
        ReceiverDaemon([Address.parse("http://store")], tmp_path, FakeDecoders())


@pytest.mark.asyncio
async def test_one_picture_only(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    async with serving(folder) as daemon, keeping(kept, f"{daemon.url}/sub/c.jpg") as watcher:
        await watcher.until(lambda w: bool(w.complete))
        await settled(lambda: daemon.connections == 0)  # nothing left to do there
    assert [Path(name).name for name in files(kept)] == ["c.jpg.dfc", "c.jpg.png"]


@pytest.mark.asyncio
async def test_catalogues_are_asked_for_again(folder: Path, tmp_path: Path) -> None:
    opener = FakeOpener()
    async with (
        serving(folder, opener) as daemon,
        keeping(tmp_path / "kept", daemon.url, every=0.01) as watcher,
    ):
        await watcher.until(lambda w: len(w.complete) == 3)
        (folder / "new.png").write_bytes(b"")
        await watcher.until(lambda w: "new.png" in w.complete)
    assert sorted(opener.opened) == ["a.png", "b.png", "c.jpg", "new.png"]


@pytest.mark.asyncio
async def test_a_picture_that_was_replaced_is_fetched_again(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    streams = {name: stream_of(name, 2000) for name in ("a.png", "b.png", "c.jpg")}
    opener = StreamOpener(streams)
    async with (
        serving(folder, opener) as daemon,
        keeping(tmp_path / "kept", daemon.url, every=0.01) as watcher,
    ):
        home = tmp_path / "kept" / f"127.0.0.1_{daemon.port}"
        await watcher.until(lambda w: len(w.complete) == 3)
        streams["a.png"] = stream_of("another", 3000)
        (folder / "a.png").write_bytes(b"another")
        await watcher.until(lambda w: w.sizes["a.png"] == 3000 and len(w.complete) == 4)
        assert (home / "a.png.dfc").read_bytes() == stream_of("another", 3000)
        # Once, and no other; a file that was merely touched is complete as it is.
        os.utime(folder / "b.png", (1, 1))
        streams["new.png"] = stream_of("new.png", 2000)
        (folder / "new.png").write_bytes(b"")
        await watcher.until(lambda w: "new.png" in w.complete)
    assert sorted(watcher.complete) == ["a.png", "a.png", "b.png", "new.png", "sub/c.jpg"]
    assert caplog.text.count("what was kept is of no use") == 1


@pytest.mark.asyncio
async def test_a_sender_killed_and_restarted_and_a_receiver_too(
    folder: Path, tmp_path: Path
) -> None:
    """No byte is sent twice: the second sender only sends what the first did not."""
    kept = tmp_path / "kept"
    gate = threading.Semaphore(5)
    async with serving(folder, FakeOpener(gate=gate)) as first:
        port = first.port
        url = f"{first.url}/a.png"
        async with keeping(kept, url) as watcher:
            await watcher.until(lambda w: w.sizes.get("a.png", 0) >= 900)
            await first.abort()
            gate.release(100)
            gate = threading.Semaphore(8)
            async with serving(folder, FakeOpener(gate=gate), port=port):
                await watcher.until(lambda w: w.sizes["a.png"] >= 1800)
    stream = kept / f"127.0.0.1_{port}" / "a.png.dfc"
    held = stream.read_bytes()
    assert held == stream_of("a.png", len(held))
    assert 1800 <= len(held) < 5000
    gate.release(100)
    async with serving(folder, port=port) as second:
        async with keeping(kept, url) as watcher:
            await watcher.until(lambda w: bool(w.complete))
        assert second.connections <= 1
    assert stream.read_bytes() == stream_of("a.png", 5000)


@pytest.mark.asyncio
async def test_a_stream_that_no_longer_fits_is_begun_anew(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    streams = {name: stream_of(f"before {name}", 700) for name in ("a.png", "b.png", "c.jpg")}
    async with serving(folder, StreamOpener(streams)) as daemon:
        home = tmp_path / "kept" / f"127.0.0.1_{daemon.port}"
        async with keeping(tmp_path / "kept", daemon.url) as watcher:
            await watcher.until(lambda w: len(w.complete) == 3)
        for name in ("a.png", "b.png"):
            streams[name] = stream_of(name, 5000)
            (folder / name).write_bytes(b"another")
        async with keeping(tmp_path / "kept", daemon.url) as watcher:
            await watcher.until(lambda w: len(w.complete) == 3)
        for name in ("a.png", "b.png"):
            assert (home / f"{name}.dfc").read_bytes() == stream_of(name, 5000)
            assert load_picture(home / f"{name}.png")[0, 0, 0] == 5000 % 256
    assert caplog.text.count("what was kept is of no use") == 2


@pytest.mark.asyncio
async def test_what_is_there_already_is_gone_on_with_or_stays(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An earlier version kept no records: its streams are known by what the sender sends."""
    async with serving(folder) as daemon:
        home = tmp_path / "kept" / f"127.0.0.1_{daemon.port}"
        (home / "sub").mkdir(parents=True)
        mine = {
            "a.png.dfc": stream_of("another picture", 700),
            "sub/c.jpg.dfc": b"",
            "b.png.png": b"painted",
            ".a.png.png.01234567.part": b"mine",
        }
        for name, data in mine.items():
            (home / name).write_bytes(data)
        (home / "b.png.dfc").write_bytes(stream_of("b.png", 2000))
        async with keeping(tmp_path / "kept", daemon.url):
            await settled(lambda: caplog.text.count("it is kept") == 3)
        assert (home / "b.png.dfc").read_bytes() != stream_of("b.png", 1999)
        assert stream_of("b.png", 5000).startswith((home / "b.png.dfc").read_bytes())
        assert files(home) == sorted([*mine, "b.png.dfc"])
        assert {name: (home / name).read_bytes() for name in mine} == mine


@pytest.mark.asyncio
async def test_names_lead_nowhere_else_and_not_into_hidden_places(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "c.jpg").write_bytes(b"c")
    outside = tmp_path / "outside"
    outside.mkdir()
    async with serving(folder) as daemon:
        home = tmp_path / "kept" / f"127.0.0.1_{daemon.port}"
        home.mkdir(parents=True)
        (home / "out").symlink_to(outside)
        (home / "a.png.dfc").symlink_to(outside / "a")
        urls = (daemon.url, f"{daemon.url}/.hidden/x.png")
        async with keeping(tmp_path / "kept", *urls) as watcher:
            await watcher.until(lambda w: {"b.png", "sub/c.jpg"} <= set(w.complete))
            await settled(lambda: caplog.text.count("through a link") == 2)
    assert list(outside.iterdir()) == []
    assert [path for path in home.iterdir() if path.name == ".hidden"] == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"most_pictures": 2}, "2 pictures are as many as are kept; 1 are left out"),
        ({"most_bytes": 20_000}, "as much as may be filled"),
    ],
)
async def test_limits(
    folder: Path,
    tmp_path: Path,
    options: dict[str, Any],
    said: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(folder) as daemon, keeping(tmp_path / "kept", daemon.url, **options):
        await settled(lambda: said in caplog.text)


@pytest.mark.asyncio
async def test_after_a_change_of_model_streams_go_on_or_are_begun_anew(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """a.png is of a model that the sender still has, b.png of one that it has no more."""
    port, models = 0, ("12345678", FINGERPRINT, "87654321")
    for name, model in (("a.png", FINGERPRINT), ("b.png", "87654321")):
        async with serving(
            folder, FakeOpener(length=700, fingerprints=(model,)), port=port
        ) as daemon:
            port, url = daemon.port, f"{daemon.url}/{name}"
            async with keeping(tmp_path / "kept", url, models=models) as watcher:
                await watcher.until(lambda w: len(w.complete) == 1)
    opener = FakeOpener(fingerprints=("12345678", FINGERPRINT))
    async with serving(folder, opener, port=port) as daemon:
        home = tmp_path / "kept" / f"127.0.0.1_{port}"
        async with keeping(tmp_path / "kept", daemon.url, models=models) as watcher:
            await watcher.until(lambda w: len(w.complete) == 3)
        assert (home / "a.png.dfc").read_bytes() == stream_of("a.png", 5000)
        assert (home / "b.png.dfc").read_bytes() == stream_of("b.png", 5000, "12345678")
    assert caplog.text.count("what was kept is of no use") == 1


@pytest.mark.asyncio
async def test_a_model_that_is_not_here_is_told(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        serving(folder, FakeOpener(fingerprints=("12345678",))) as daemon,
        keeping(tmp_path / "kept", f"{daemon.url}/a.png"),
    ):
        await settled(lambda: "needs the model 12345678" in caplog.text)
    assert files(tmp_path / "kept") == []


@pytest.mark.asyncio
async def test_what_fails_is_logged_and_lived_through(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "bad.png").write_bytes(b"broken")
    kept = tmp_path / "kept"
    kept.mkdir()
    async with serving(folder) as daemon:
        # A folder that cannot be made, because a file is in its place.
        home = kept / f"127.0.0.1_{daemon.port}"
        home.mkdir()
        (home / "sub").write_bytes(b"in the way")
        urls = (daemon.url, "ws://127.0.0.1:9/nobody.png", "ws://a..b/x")
        async with keeping(kept, *urls) as watcher:
            await watcher.until(lambda w: {"a.png", "b.png"} <= set(w.complete))
            await settled(
                lambda: all(
                    text in caplog.text
                    for text in ("bad.png: the peer says", "sub/c.jpg: ", ":9: ", "a..b")
                )
            )


@pytest.mark.asyncio
async def test_what_is_refused_is_asked_for_again_when_it_is_another(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "bad.png").write_bytes(b"broken")
    async with (
        serving(folder) as daemon,
        keeping(tmp_path / "kept", daemon.url, every=0.01) as watcher,
    ):
        await watcher.until(lambda w: len(set(w.complete)) == 3)
        await settled(lambda: "bad.png: the peer says" in caplog.text)
        (folder / "new.png").write_bytes(b"new")
        await watcher.until(lambda w: "new.png" in w.complete)
        assert caplog.text.count("bad.png: the peer says") == 1
        (folder / "bad.png").write_bytes(b"better")
        await watcher.until(lambda w: "bad.png" in w.complete)
