"""Pictures of streams that grow."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import camera
import numpy as np
import pytest
from fakes import FakeDecoder, FakeDecoders, FakePicture, stream_of
from sources import collection

from diffc_client import Decoders, Method, Mirrored, ModelDecoders
from diffc_client.mirror import renderer as module
from diffc_client.mirror.owned_folder import OwnedFolder
from diffc_client.mirror.paths import Places
from diffc_client.mirror.renderer import Renderer
from diffc_stream.errors import UnreadablePicture
from diffc_stream.picture import load_picture

OPENED: dict[Path, OwnedFolder] = {}


def owned(home: Path) -> OwnedFolder:
    if home not in OPENED:
        OPENED[home] = OwnedFolder(Places(home))
    return OPENED[home]


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.popitem()[1].close()


def mirrored(home: Path, name: str, size: int, fingerprint: str = "0f0f0f0f") -> Mirrored:
    """Write so much of a stream, and return what a mirror says then."""
    stream = home / f"{name}.dfc"
    stream.write_bytes(stream_of(name, size, fingerprint))
    return Mirrored(
        name=name,
        stream=stream,
        picture=home / f"{name}.png",
        bytes=size,
        complete=False,
        owned=owned(home),
    )


def names(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir() if path.name[0] != ".")


class Watched(Renderer):
    """A renderer that can be waited for."""

    def __init__(self, decoders: Decoders) -> None:
        super().__init__(decoders)
        self._loop, self._written = asyncio.get_running_loop(), asyncio.Event()
        self._shown: dict[Path, list[int]] = {}

    def _write(self, mirrored: Mirrored) -> bool:
        scarce = super()._write(mirrored)
        with contextlib.suppress(UnreadablePicture):
            self._shown[mirrored.picture] = np.unique(load_picture(mirrored.picture)).tolist()
        self._loop.call_soon_threadsafe(self._written.set)
        return scarce

    async def until(self, path: Path, shown: int) -> None:
        """Wait until a picture shows so many bytes, modulo 256."""
        async with asyncio.timeout(60):
            while self._shown.get(path) != [shown % 256]:
                self._written.clear()
                await self._written.wait()


@pytest.mark.asyncio
async def test_pictures_grow(tmp_path: Path) -> None:
    async with Watched(FakeDecoders()) as renderer:
        for size in (700, 900):
            renderer.put(mirrored(tmp_path, "a", size))
            renderer.put(mirrored(tmp_path, "b", size + 1))
            await renderer.until(tmp_path / "a.png", size)
            await renderer.until(tmp_path / "b.png", size + 1)
    assert names(tmp_path) == ["a.dfc", "a.png", "b.dfc", "b.png"]
    # By that a mirror knows what it need not have rendered again.
    assert (tmp_path / "a.png").stat().st_mtime_ns == (tmp_path / "a.dfc").stat().st_mtime_ns


@pytest.mark.asyncio
async def test_one_that_is_deleted_while_it_is_rendered_leaves_nothing(tmp_path: Path) -> None:
    class Deleting(FakeDecoder):
        def render(self, method: Method = "mmse") -> FakePicture:
            (tmp_path / "gone.dfc").unlink(missing_ok=True)
            return super().render(method)

    class Decoders(FakeDecoders):
        def new(self) -> FakeDecoder:
            return Deleting(self.fingerprints)

    async with Watched(Decoders()) as renderer:
        renderer.put(mirrored(tmp_path, "gone", 100))
        renderer.put(mirrored(tmp_path, "a", 100))
        await renderer.until(tmp_path / "a.png", 100)
    assert names(tmp_path) == ["a.dfc", "a.png"]


@pytest.mark.asyncio
async def test_one_that_grows_faster_than_it_is_rendered_is_rendered_once(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()
    rendered: list[int] = []

    class Slow(FakeDecoder):
        def render(self, method: Method = "mmse") -> FakePicture:
            rendered.append(len(self.data))
            begun.set()
            go_on.wait(60)
            return super().render(method)

    class SlowDecoders(FakeDecoders):
        def new(self) -> FakeDecoder:
            return Slow(self.fingerprints)

    async with Watched(SlowDecoders()) as renderer:
        renderer.put(mirrored(tmp_path, "a", 100))
        assert await asyncio.to_thread(begun.wait, 60)
        for size in (200, 300, 400):
            renderer.put(mirrored(tmp_path, "a", size))
        go_on.set()
        await renderer.until(tmp_path / "a.png", 400)
    assert rendered == [100, 400]


@pytest.mark.asyncio
async def test_what_cannot_be_rendered_is_said_and_lived_through(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(FakeDecoders):
        def new(self) -> FakeDecoder:
            if len(self.made) == 3:
                self.made.append(FakeDecoder(()))
                raise RuntimeError("a bug")
            return super().new()

    async with Watched(Broken()) as renderer:
        for size in (3, 0):
            renderer.put(mirrored(tmp_path, f"short{size}", size))
        renderer.put(mirrored(tmp_path, "strange", 100, "12345678"))
        renderer.put(mirrored(tmp_path, "bug", 100))
        gone = mirrored(tmp_path, "gone", 100)
        gone.stream.unlink()
        renderer.put(gone)
        renderer.put(mirrored(tmp_path, "a", 100))
        await renderer.until(tmp_path / "a.png", 100)
    assert [name for name in names(tmp_path) if name.endswith(".png")] == ["a.png"]
    assert "needs the model 12345678" in caplog.text
    assert "bug.png cannot be rendered" in caplog.text
    assert "gone.png: " in caplog.text


@pytest.mark.asyncio
async def test_a_picture_of_somebody_elses_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mine.png").write_bytes(b"my own")
    (tmp_path / ".mine.png.0123abcd.part").write_bytes(b"my own")
    async with Watched(FakeDecoders()) as renderer:
        renderer.put(mirrored(tmp_path, "mine", 100))
        renderer.put(mirrored(tmp_path, "a", 100))
        await renderer.until(tmp_path / "a.png", 100)
        # One that was rendered here and then painted over is another.
        (tmp_path / "a.png").write_bytes(b"painted over")
        renderer.put(mirrored(tmp_path, "a", 200))
        renderer.put(mirrored(tmp_path, "b", 100))
        await renderer.until(tmp_path / "b.png", 100)
    assert (tmp_path / "mine.png").read_bytes() == b"my own"
    assert (tmp_path / "a.png").read_bytes() == b"painted over"
    assert (tmp_path / ".mine.png.0123abcd.part").exists()
    assert caplog.text.count("it is kept") == 2


@pytest.mark.asyncio
async def test_senders_take_turns(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()
    rendered: list[int] = []

    class Slow(FakeDecoder):
        def render(self, method: Method = "mmse") -> FakePicture:
            rendered.append(len(self.data))
            begun.set()
            go_on.wait(60)
            return super().render(method)

    class SlowDecoders(FakeDecoders):
        def new(self) -> FakeDecoder:
            return Slow(self.fingerprints)

    async with Watched(SlowDecoders()) as renderer:
        for number in range(20):
            renderer.put(mirrored(tmp_path, f"bomb {number}", 100 + number), sender="bomber")
        assert await asyncio.to_thread(begun.wait, 60)
        renderer.put(mirrored(tmp_path, "honest", 300), sender="honest")
        go_on.set()
        await renderer.until(tmp_path / "honest.png", 300)
        await renderer.until(tmp_path / "bomb 19.png", 119)
    assert rendered[:2] == [100, 300]


@pytest.mark.asyncio
async def test_a_disk_that_is_full_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[str] = []
    replace = OwnedFolder.replace

    def full(self: OwnedFolder, relative: str, data: bytes, *, time: int | None = None) -> None:
        tried.append(relative)
        if len(tried) < 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(self, relative, data, time=time)

    monkeypatch.setattr(OwnedFolder, "replace", full)
    monkeypatch.setattr(module, "RETRY_DISK", 0.001)
    async with Watched(FakeDecoders()) as renderer:
        for name in ("a", "b"):
            renderer.put(mirrored(tmp_path, name, 100))
        for name in ("a", "b"):
            await renderer.until(tmp_path / f"{name}.png", 100)
    assert len(tried) == 5
    assert caplog.text.count("No space left on device") == 1


@pytest.mark.asyncio
async def test_what_waits_for_another_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "diffc_client")
    monkeypatch.setattr(module, "MOST_BEHIND", 1)
    data = camera.streams(3)
    home = camera.write(tmp_path, 3)
    async with Watched(ModelDecoders(collection(camera.MODEL))) as renderer:
        for name in ("0", "1", "2"):
            owned(home).adopt(f"{name}.dfc", length=1200)
        for stream in (home / "0.dfc", home / "1.dfc"):
            stream.unlink()
        given = {
            name: Mirrored(
                name=f"{name}.dfc",
                stream=home / f"{name}.dfc",
                picture=home / f"{name}.png",
                bytes=1200,
                complete=True,
                owned=owned(home),
            )
            for name in ("1", "2")
        }
        (home / "1.dfc").write_bytes(data[1])
        assert not renderer._write(given["2"])  # for want of 0.dfc, which 1.dfc starts from
        assert not renderer._write(given["1"])
        assert renderer._behind == {str(home / "0.dfc"): {"2.dfc": given["2"], "1.dfc": given["1"]}}
        monkeypatch.setattr(module, "MOST_BEHIND", 0)
        renderer._behind.clear()
        assert not renderer._write(given["1"])
        assert renderer._behind == {}
    assert "1.png waits for 0.dfc, 600 bytes whose" in caplog.text
