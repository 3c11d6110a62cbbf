"""Pictures of bytes, the newest first."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fakes import FINGERPRINT, FakeDecoder, FakePicture, stream_of

from diffc_client import Method
from diffc_client.decoding.refiner import Refiner
from diffc_stream.errors import LinkLost, NotAStream, NothingDecodable

DATA = stream_of("a", 1000)


@pytest.fixture
def worker() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def fake() -> FakeDecoder:
    return FakeDecoder((FINGERPRINT,))


@pytest.mark.asyncio
async def test_all_that_lies_there_makes_one_picture(worker: ThreadPoolExecutor) -> None:
    refiner = Refiner(fake(), worker, "mmse")
    refiner.feed(DATA[:500])
    refiner.feed(DATA[500:600])
    first = await refiner.next()
    assert first is not None
    assert (first.bytes, first.complete) == (600, False)
    refiner.feed(DATA[600:])
    refiner.finish()
    last = await refiner.next()
    assert last is not None
    assert (last.bytes, last.complete) == (1000, True)
    assert await refiner.next() is None


@pytest.mark.asyncio
async def test_bytes_never_wait_for_a_picture_that_takes_long(worker: ThreadPoolExecutor) -> None:
    begun, go, rendered = asyncio.Event(), threading.Event(), list[int]()
    loop = asyncio.get_running_loop()

    class Slow(FakeDecoder):
        def render(self, method: Method = "mmse") -> FakePicture:
            loop.call_soon_threadsafe(begun.set)
            assert go.wait(60)
            rendered.append(len(self.data))
            return super().render(method)

    refiner = Refiner(Slow((FINGERPRINT,)), worker, "mmse")
    refiner.feed(DATA[:100])
    first = asyncio.create_task(refiner.next())
    await begun.wait()
    for start in range(100, 1000, 100):
        refiner.feed(DATA[start : start + 100])
    go.set()
    pictures = [await first, await refiner.next()]
    assert [picture and picture.bytes for picture in pictures] == [100, 1000]
    assert rendered == [100, 1000]


@pytest.mark.asyncio
async def test_an_end_that_comes_late_is_told_with_the_same_picture(
    worker: ThreadPoolExecutor,
) -> None:
    refiner = Refiner(fake(), worker, "mmse")
    refiner.feed(DATA)
    first = await refiner.next()
    waiting = asyncio.create_task(refiner.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    refiner.finish()
    last = await waiting
    assert first is not None
    assert last is not None
    assert (first.complete, last.complete) == (False, True)
    assert last.image is first.image


@pytest.mark.asyncio
async def test_too_little_for_a_picture_is_no_picture_yet(worker: ThreadPoolExecutor) -> None:
    refiner = Refiner(fake(), worker, "mmse")
    refiner.feed(DATA[:4])
    waiting = asyncio.create_task(refiner.next())
    refiner.feed(DATA[4:20])
    picture = await waiting
    assert picture is not None
    assert picture.bytes == 20


@pytest.mark.asyncio
@pytest.mark.parametrize("data", [b"", DATA[:4]])
async def test_an_end_before_any_picture(worker: ThreadPoolExecutor, data: bytes) -> None:
    refiner = Refiner(fake(), worker, "mmse")
    refiner.feed(data)
    refiner.finish()
    with pytest.raises(NothingDecodable):
        await refiner.next()


@pytest.mark.asyncio
async def test_what_came_is_shown_before_a_failure_is_told(worker: ThreadPoolExecutor) -> None:
    refiner = Refiner(fake(), worker, "mmse")
    refiner.feed(DATA)
    refiner.finish(LinkLost("gone"))
    picture = await refiner.next()
    assert picture is not None
    assert not picture.complete
    with pytest.raises(LinkLost, match="gone"):
        await refiner.next()


@pytest.mark.asyncio
async def test_what_the_decoder_has_against_it(worker: ThreadPoolExecutor) -> None:
    refiner = Refiner(fake(), worker, "mmse")
    refiner.feed(b"not a stream at all")
    with pytest.raises(NotAStream):
        await refiner.next()


@pytest.mark.asyncio
async def test_quick_previews_and_a_last_picture_as_wanted(worker: ThreadPoolExecutor) -> None:
    refiner = Refiner(fake(), worker, "flow", previews="mmse")
    refiner.feed(DATA)
    refiner.finish()
    pictures = [await refiner.next(), await refiner.next()]
    assert await refiner.next() is None
    assert [p and (p.description["render"], p.complete) for p in pictures] == [
        ("mmse", False),
        ("flow", True),
    ]
