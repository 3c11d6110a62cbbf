"""One encode per picture, as far as somebody wants it, and not for ever."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import FINGERPRINT, FakeOpener, stream_of

from diffc_server import Pipeline, Source
from diffc_server.encoding.pipeline import LOOK_AHEAD, SharedStream
from diffc_stream.errors import PrefixMismatch, RequestRefused


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    found = [tmp_path / f"{i}.png" for i in range(6)]
    for path in found:
        path.write_bytes(b"")
    return found


def used(stream: SharedStream) -> SharedStream:
    stream.join(lambda: None)
    return stream


@pytest.mark.asyncio
async def test_pulled_only_as_far_as_wanted(paths: list[Path]) -> None:
    opener = FakeOpener(length=100_000, piece=100)
    pipeline = Pipeline(opener)
    stream = pipeline.stream(paths[0])
    await stream.reach(1050)
    assert opener.computed == {"0.png": 1100}
    assert stream.read(0, 2000) == stream_of("0.png", 1100)
    await stream.reach(1060)
    assert opener.computed == {"0.png": 1100}
    assert not stream.complete
    pipeline.close()


@pytest.mark.asyncio
async def test_one_encode_however_many_ask(paths: list[Path]) -> None:
    opener = FakeOpener()
    pipeline = Pipeline(opener, encoders=4)
    streams = [pipeline.stream(paths[0]) for _ in range(10)]
    await asyncio.gather(*(stream.reach(n * 500) for n, stream in enumerate(streams)))
    await streams[0].reach(10**6)
    assert opener.opened == ["0.png"]
    assert opener.computed == {"0.png": 5000}
    assert streams[0].complete
    assert streams[0].read(4990, 5100) == stream_of("0.png", 5000)[4990:]
    pipeline.close()


@pytest.mark.asyncio
async def test_one_encode_for_every_model(paths: list[Path]) -> None:
    opener = FakeOpener(fingerprints=("0a0a0a0a", "0b0b0b0b"))
    pipeline = Pipeline(opener)
    first, second = (pipeline.stream(paths[0], model) for model in opener.fingerprints)
    assert pipeline.stream(paths[0]) is first is not second
    for stream in (first, second):
        await stream.reach(100)
        assert stream.model is not None
        assert stream.read(0, 100) == stream_of("0.png", 5000, stream.model)[:100]
    assert opener.models == ["0a0a0a0a", "0b0b0b0b"]
    # A stream that is ready is of the model that it is of.
    ready = paths[0].with_suffix(".dfc")
    ready.write_bytes(FINGERPRINT.encode())
    stream = pipeline.stream(ready, "0a0a0a0a")
    assert pipeline.stream(ready) is stream
    await stream.reach(0)
    assert stream.model == FINGERPRINT
    pipeline.close()


@pytest.mark.asyncio
async def test_nothing_is_computed_on_the_event_loop(paths: list[Path]) -> None:
    threads: set[str] = set()

    class Watched(FakeOpener):
        def open(self, path: Path, model: str | None = None, prefix: bytes = b"") -> Source:
            threads.add(threading.current_thread().name)
            return super().open(path, model, prefix)

        def _pieces(self, name: str, model: str, first: int) -> Iterator[bytes]:
            for piece in super()._pieces(name, model, first):
                threads.add(threading.current_thread().name)
                yield piece

    pipeline = Pipeline(Watched())
    await pipeline.stream(paths[0]).reach(10**6)
    assert threads == {"encoder_0"}
    pipeline.close()


@pytest.mark.asyncio
async def test_idle_encoders_are_dropped_and_made_again(paths: list[Path]) -> None:
    opener = FakeOpener()
    pipeline = Pipeline(opener, slots=1)
    first = pipeline.stream(paths[0])
    await first.reach(1000)
    await pipeline.stream(paths[1]).reach(1000)
    assert not first.awake
    again = pipeline.stream(paths[0])
    assert again is first
    await again.reach(5000)
    assert again.read(0, 5000) == stream_of("0.png", 5000)
    assert opener.opened == ["0.png", "1.png", "0.png"]
    # It went on from the bytes that were there.
    assert opener.computed["0.png"] == 5000
    pipeline.close()


@pytest.mark.asyncio
async def test_a_picture_that_changed_is_another_though_size_and_time_are_the_same(
    paths: list[Path],
) -> None:
    pipeline = Pipeline(FakeOpener())
    paths[0].write_bytes(b"1")
    before = paths[0].stat()
    first = pipeline.stream(paths[0])
    assert pipeline.stream(paths[0]) is first
    while paths[0].stat().st_ctime_ns == before.st_ctime_ns:  # as coarse as the system's clock
        with paths[0].open("r+b") as file:
            file.write(b"2")
        os.utime(paths[0], ns=(before.st_atime_ns, before.st_mtime_ns))
    assert pipeline.stream(paths[0]) is not first
    pipeline.close()


class Forgetful(FakeOpener):
    """Cannot go on with anything, and tells ``late``, or when it is opened."""

    late = False

    def open(self, path: Path, model: str | None = None, prefix: bytes = b"") -> Source:
        if prefix and not self.late:
            raise PrefixMismatch("forgotten")
        source = super().open(path, model, prefix)
        return replace(source, pieces=self._refused()) if prefix else source

    def _refused(self) -> Iterator[bytes]:
        yield b""
        raise PrefixMismatch("forgotten")


@pytest.mark.asyncio
@pytest.mark.parametrize("late", [False, True])
async def test_what_was_sent_is_continued_or_fails(
    paths: list[Path], caplog: pytest.LogCaptureFixture, late: bool
) -> None:
    opener = Forgetful()
    opener.late = late
    pipeline = Pipeline(opener, slots=1)
    first = pipeline.stream(paths[0])
    await first.reach(1000)
    first.rest()
    await first.reach(1000)
    with pytest.raises(RequestRefused, match="cannot be continued as it began"):
        await first.reach(2000)
    assert "cannot continue 0.png: forgotten" in caplog.text
    # Who asks next gets one that begins anew.
    again = pipeline.stream(paths[0])
    assert again is not first
    await again.reach(2000)
    pipeline.close()


@pytest.mark.asyncio
async def test_empty_pieces_are_turns_and_no_end(paths: list[Path]) -> None:
    class Slow(FakeOpener):
        def _pieces(self, name: str, model: str, first: int) -> Iterator[bytes]:
            for piece in super()._pieces(name, model, first):
                yield b""
                yield piece

    pipeline = Pipeline(Slow())
    stream = pipeline.stream(paths[0])
    await stream.reach(10**6)
    assert stream.read(0, 10**6) == stream_of("0.png", 5000)
    pipeline.close()


@pytest.mark.asyncio
async def test_a_picture_that_changes_is_another(paths: list[Path]) -> None:
    pipeline = Pipeline(FakeOpener())
    before = pipeline.stream(paths[0])
    paths[0].write_bytes(b"longer")
    assert pipeline.stream(paths[0]) is not before
    paths[0].unlink()
    with pytest.raises(RequestRefused, match="no such picture"):
        pipeline.stream(paths[0])
    pipeline.close()


@pytest.mark.asyncio
async def test_a_picture_that_could_not_be_read_is_tried_again(paths: list[Path]) -> None:
    paths[0].write_bytes(b"broken")
    pipeline = Pipeline(FakeOpener())
    for _ in range(2):
        with pytest.raises(RequestRefused, match="cannot be read"):
            await pipeline.stream(paths[0]).reach(0)
    pipeline.close()


@pytest.mark.asyncio
async def test_closing_leaves_no_task_behind(paths: list[Path]) -> None:
    gate = threading.Semaphore(2)
    pipeline = Pipeline(FakeOpener(gate=gate, length=LOOK_AHEAD))
    stream = used(pipeline.stream(paths[0]))
    await stream.reach(600)
    stream.want(LOOK_AHEAD)
    pipeline.close()
    gate.release(100)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
