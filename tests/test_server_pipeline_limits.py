"""Encoders are so many, and hold so much."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from fakes import FINGERPRINT, HEIGHT, WIDTH, FakeOpener, stream_of
from serving import settled

from diffc_server import Pipeline, Source
from diffc_server.encoding.pipeline import SharedStream
from diffc_server.encoding.slots import LINGER
from diffc_server.encoding.stream_cache import OVERHEAD
from diffc_stream.errors import RequestRefused
from diffc_stream.session import Code


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
async def test_encoders_bound_how_many_are_computed_at_once(paths: list[Path]) -> None:
    counting = threading.Lock()
    most = now = 0

    class Counting(FakeOpener):
        def open(self, path: Path, model: str | None = None, prefix: bytes = b"") -> Source:
            nonlocal most, now
            with counting:
                now += 1
                most = max(most, now)
            try:
                return super().open(path, model, prefix)
            finally:
                with counting:
                    now -= 1

    pipeline = Pipeline(Counting(), encoders=2)
    await asyncio.gather(*(pipeline.stream(path).reach(100) for path in paths))
    assert 1 <= most <= 2
    pipeline.close()


@pytest.mark.asyncio
async def test_encoders_in_use_stay_and_others_wait(paths: list[Path]) -> None:
    pipeline = Pipeline(FakeOpener(), slots=2, queue=1)
    first, second = (used(pipeline.stream(path)) for path in paths[:2])
    for stream in (first, second):
        await stream.reach(1000)
    waiting = asyncio.create_task(pipeline.stream(paths[2]).reach(1000))
    await settled(lambda: pipeline.slots.waiting == 1)
    with pytest.raises(RequestRefused, match="too many pictures") as caught:
        await pipeline.stream(paths[3]).reach(1000)
    assert (caught.value.code, caught.value.retry) == (Code.BUSY, True)
    assert caught.value.after is not None
    # Streams from disk need no encoder, and those that are complete none any more.
    ready = paths[5].with_suffix(".dfc")
    ready.write_bytes(FINGERPRINT.encode())
    await pipeline.stream(ready).reach(1000)
    assert not waiting.done()
    await first.reach(10**6)
    await waiting
    assert second.awake
    await pipeline.stream(paths[3]).reach(1000)
    pipeline.close()


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_who_wants_nothing_for_long_makes_way(paths: list[Path]) -> None:
    """Somebody whose link is slow, or who reads nothing at all."""
    pipeline = Pipeline(FakeOpener(), slots=1)
    first = used(pipeline.stream(paths[0]))
    await first.reach(1000)
    began = asyncio.get_running_loop().time()
    await pipeline.stream(paths[1]).reach(1000)
    assert asyncio.get_running_loop().time() - began == pytest.approx(LINGER)
    assert not first.awake
    await first.reach(2000)
    assert first.read(0, 2000) == stream_of("0.png", 2000)
    pipeline.close()


@pytest.mark.asyncio
async def test_nobody_waits_for_whom_nobody_listens_to_any_more(paths: list[Path]) -> None:
    gate = threading.Semaphore(0)
    opener = FakeOpener(gate=gate)
    pipeline = Pipeline(opener, slots=1)
    computing = asyncio.create_task(pipeline.stream(paths[0]).reach(1000))
    await settled(lambda: pipeline.stream(paths[0]).awake)
    waiting = asyncio.create_task(pipeline.stream(paths[1]).reach(1000))
    await settled(lambda: pipeline.slots.waiting == 1)
    waiting.cancel()
    await settled(lambda: pipeline.slots.waiting == 0)
    # Neither is more computed of what was being computed than the piece that had been begun.
    computing.cancel()
    await settled(computing.done)
    gate.release(100)
    await settled(lambda: not pipeline.stream(paths[0]).busy)
    assert opener.computed == {"0.png": 300}
    assert opener.opened == ["0.png"]
    # Who comes back goes on from there.
    await pipeline.stream(paths[0]).reach(1000)
    assert opener.computed == {"0.png": 1200}
    pipeline.close()


@pytest.mark.asyncio
async def test_who_comes_while_the_last_one_leaves_is_served(paths: list[Path]) -> None:
    pipeline = Pipeline(FakeOpener(), slots=1)
    first = used(pipeline.stream(paths[0]))
    await first.reach(1000)
    second = pipeline.stream(paths[1])

    def wake() -> None:
        pass

    second.join(wake)
    second.want(1000)
    await settled(lambda: pipeline.slots.waiting == 1)
    second.leave(wake)
    reaching = asyncio.create_task(second.reach(1000))
    await asyncio.sleep(0)
    await first.reach(10**6)
    await reaching
    pipeline.close()


@pytest.mark.asyncio
async def test_only_so_many_bytes_are_held(paths: list[Path]) -> None:
    pipeline = Pipeline(FakeOpener(), held=2 * OVERHEAD + 1500)
    first = pipeline.stream(paths[0])
    await first.reach(1000)
    await pipeline.stream(paths[1]).reach(600)
    pipeline.stream(paths[2])
    assert pipeline.stream(paths[0]) is not first
    second = pipeline.stream(paths[1])
    await used(second).reach(1000)
    await used(pipeline.stream(paths[0])).reach(600)
    for stream in (pipeline.stream(paths[0]), second):
        # Nor do those grow that are there already.
        with pytest.raises(RequestRefused, match="too many pictures") as caught:
            await stream.reach(5000)
        assert caught.value.retry
    with pytest.raises(RequestRefused, match="too many pictures"):
        pipeline.stream(paths[3])
    assert pipeline.stream(paths[1]) is second
    pipeline.close()


@pytest.mark.asyncio
async def test_large_pictures_count_by_their_pixels(paths: list[Path]) -> None:
    pixels = WIDTH * HEIGHT
    opener = FakeOpener()
    pipeline = Pipeline(opener, pixels=2 * pixels, queue=1)
    streams = [used(pipeline.stream(path)) for path in paths[:3]]
    await asyncio.gather(*(stream.reach(1) for stream in streams[:2]))
    # Nobody could know before it was opened.
    waiting = asyncio.create_task(streams[2].reach(1))
    await settled(lambda: pipeline.slots.waiting == 1 and streams[2].pixels is not None)
    assert not streams[2].awake
    with pytest.raises(RequestRefused, match="too many pictures"):
        await pipeline.stream(paths[3]).reach(1)
    await streams[0].reach(10**6)
    await waiting
    assert opener.opened.count("2.png") == 2
    pipeline.close()


@pytest.mark.asyncio
async def test_a_picture_of_any_size_is_sent_alone(paths: list[Path]) -> None:
    pipeline = Pipeline(FakeOpener(), pixels=1)
    stream = pipeline.stream(paths[0])
    await stream.reach(1)
    assert stream.failure is None
    pipeline.close()


@pytest.mark.asyncio
async def test_what_is_idle_makes_way_for_what_turns_out_large(paths: list[Path]) -> None:
    """Nobody could know when it was asked for: there was room for one more pixel."""
    pipeline = Pipeline(FakeOpener(), pixels=2 * WIDTH * HEIGHT - 1)
    idle = pipeline.stream(paths[0])
    await idle.reach(1)
    awake = [idle.awake]
    stream = pipeline.stream(paths[1])
    await stream.reach(1)
    assert stream.failure is None
    assert [*awake, idle.awake] == [True, False]
    await idle.reach(10**6)  # and the other way round
    assert idle.complete
    pipeline.close()
