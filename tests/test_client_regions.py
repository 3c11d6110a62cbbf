"""Regions are laid over the whole picture as both arrive, and the last refinement is complete."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

import numpy as np
import pytest
from serving import settled

from diffc_client import MemoryStream
from diffc_client.api.demand import GOOD, Demand, Wish, wished
from diffc_client.api.regions import Part, Regions
from diffc_client.decoding.refiner import Refinement
from diffc_stream.errors import LinkLost, PeerError, StreamError
from diffc_stream.session import WHOLE, Code, Target

Refinements = AsyncGenerator[Refinement, None]
SIDE = 64
LEFT, RIGHT = (0, 0, 32, 64), (32, 0, 32, 64)


def refinement(
    value: int, size: int, psnr: float | None, *, width: int = SIDE, complete: bool = False
) -> Refinement:
    return Refinement(
        image=np.full((SIDE, width, 3), value, np.uint8),
        bytes=size,
        bpp=8 * size / (SIDE * width),
        predicted_psnr=psnr,
        complete=complete,
        description={},
    )


class Scripted:
    """Refinements that are told one by one."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Refinement | Exception] = asyncio.Queue()
        self.closed = False

    def tell(self, *news: Refinement | Exception) -> None:
        for one in news:
            self._queue.put_nowait(one)

    async def refinements(self) -> Refinements:
        try:
            while True:
                one = await self._queue.get()
                if isinstance(one, Exception):
                    raise one
                yield one
                if one.complete:
                    return
        finally:
            self.closed = True


class Scene:
    """A picture of 1,000 bytes to begin with, and regions of it."""

    def __init__(self) -> None:
        self.whole = Scripted()
        self.kept = MemoryStream()
        self.kept.append(bytes(1000))
        self.wanted = Demand()
        self.parts: list[tuple[Part, Wish, Scripted]] = []
        self.begun: Callable[[], Awaitable[None]] | None = None
        self.over = Regions(self.wanted, self.kept, self._begin).over(self.whole.refinements())

    def _begin(self, part: Part, wish: Wish) -> Refinements:
        scripted = Scripted()
        self.parts.append((part, wish, scripted))
        return scripted.refinements()

    def sharpen(self, region: tuple[int, int, int, int] | None, *, after: int = 0) -> None:
        self.wanted.sharpen(wished(region, WHOLE, after))

    async def next(self) -> tuple[int, int, int, bool]:
        """Return the values of the left and of the right half, the bytes, and if it is the last."""
        one = await anext(self.over)
        left, right = (int(value) for value in one.image[5, [5, 40], 0])
        return left, right, one.bytes, one.complete


@pytest.mark.asyncio
async def test_what_comes_is_laid_over_the_whole() -> None:
    scene = Scene()
    scene.sharpen(LEFT)
    scene.whole.tell(refinement(1, 1000, 25.0))
    assert await scene.next() == (1, 1, 1000, False)
    [(part, wish, left)] = scene.parts
    assert wish.target == GOOD
    assert (part.region.width, part.region.height, part.region.size) == (1, 2, 1000)
    left.tell(refinement(10, 50, 28.0, width=32))
    assert await scene.next() == (10, 1, 1000, False)
    scene.whole.tell(refinement(2, 1100, 26.0, complete=True))
    assert await scene.next() == (10, 2, 1100, False)
    assert scene.whole.closed
    left.tell(refinement(11, 80, 30.0, width=32, complete=True))
    assert await scene.next() == (11, 2, 1100, True)
    with pytest.raises(StopAsyncIteration):
        await anext(scene.over)


@pytest.mark.asyncio
async def test_the_next_region_ends_the_one_before_and_leaves_what_it_brought() -> None:
    scene = Scene()
    scene.whole.tell(refinement(1, 1000, 25.0))
    await scene.next()
    scene.sharpen(LEFT)
    scene.whole.tell(refinement(2, 1001, 25.0))
    await scene.next()
    left = scene.parts[0][2]
    left.tell(refinement(10, 50, 28.0, width=32))
    await scene.next()
    scene.sharpen(RIGHT)
    scene.whole.tell(refinement(3, 1002, 25.0, complete=True))
    assert await scene.next() == (10, 3, 1002, False)
    assert left.closed
    scene.parts[1][2].tell(refinement(20, 50, 28.0, width=32))
    assert await scene.next() == (10, 20, 1002, False)
    # The first again: it goes on where it was, and none of the other is lost.
    scene.sharpen((5, 5, 20, 50))
    waiting = asyncio.create_task(scene.next())
    await settled(lambda: len(scene.parts) == 3)
    assert scene.parts[2][0] is scene.parts[0][0]
    scene.parts[2][2].tell(refinement(11, 90, 30.0, width=32, complete=True))
    assert await waiting == (11, 20, 1002, True)


@pytest.mark.asyncio
async def test_a_region_waits_for_enough_of_the_whole_or_for_all_of_it() -> None:
    scene = Scene()
    scene.sharpen(LEFT, after=2000)
    scene.whole.tell(refinement(1, 1000, 25.0))
    await scene.next()
    assert not scene.parts
    scene.whole.tell(refinement(2, 1500, 25.0, complete=True))
    assert await scene.next() == (2, 2, 1500, False)
    assert len(scene.parts) == 1
    scene.sharpen(None)
    assert await scene.next() == (2, 2, 1500, True)


@pytest.mark.asyncio
async def test_the_rest_waits_until_the_region_is_there() -> None:
    scene, told = Scene(), []
    scene.wanted.follow(lambda target, _: told.append(target.bytes))
    scene.sharpen(LEFT, after=900)
    scene.whole.tell(refinement(1, 800, 25.0))
    await scene.next()
    assert scene.wanted.now == Target(bytes=900)
    assert not await scene.wanted.released(899)
    scene.whole.tell(refinement(2, 1000, 25.0))
    await scene.next()
    assert scene.wanted.now == Target(bytes=1000)
    waiting = asyncio.create_task(scene.wanted.released(1000))
    scene.wanted.change(Target(bytes=950, psnr=30.0), 1.0)
    assert scene.wanted.now == Target(bytes=950, psnr=30.0)
    scene.wanted.change(WHOLE, 1.0)
    assert not waiting.done()
    scene.parts[0][2].tell(refinement(10, 50, 28.0, width=32, complete=True))
    await scene.next()
    assert await waiting
    assert scene.wanted.now == WHOLE
    assert told == [900, 1000, 950, 1000, None]
    await scene.over.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("size", "psnr", "value"),
    [
        (1050, 29.0, 10),  # as good on average, but of fewer bits
        (1300, 27.0, 10),  # of more bits, but not expected to be as good
        (1300, 29.0, 2),
        (1300, None, 10),
    ],
)
async def test_the_whole_wins_if_it_has_as_many_bits_and_is_as_good(
    size: int, psnr: float | None, value: int
) -> None:
    scene = Scene()
    scene.sharpen(LEFT)
    scene.whole.tell(refinement(1, 1000, 25.0))
    await scene.next()
    scene.parts[0][2].tell(refinement(10, 100, 28.0, width=32, complete=True))
    assert await scene.next() == (10, 1, 1000, False)
    scene.whole.tell(refinement(2, size, psnr, complete=True))
    assert await scene.next() == (value, 2, size, True)


@pytest.mark.asyncio
async def test_a_region_that_another_sender_encodes_otherwise_begins_again() -> None:
    scene = Scene()
    scene.sharpen(LEFT)
    scene.whole.tell(refinement(1, 1000, 25.0, complete=True))
    await scene.next()
    part, _, first = scene.parts[0]
    part.kept.append(b"abc")
    waiting = asyncio.create_task(scene.next())
    first.tell(PeerError(Code.PREFIX_MISMATCH, "other bytes"))
    await settled(lambda: len(scene.parts) == 2)
    assert part.kept.length == 0
    scene.parts[1][2].tell(PeerError(Code.PREFIX_MISMATCH, "another picture"))
    with pytest.raises(PeerError, match="another picture"):
        await waiting


@pytest.mark.asyncio
async def test_a_stream_of_something_else() -> None:
    scene = Scene()
    scene.sharpen(LEFT)
    scene.whole.tell(refinement(1, 1000, 25.0))
    await scene.next()
    scene.parts[0][2].tell(refinement(10, 100, 28.0, width=33))
    with pytest.raises(StreamError, match="that of another one"):
        await scene.next()


@pytest.mark.asyncio
async def test_failures_of_either_end_it() -> None:
    scene = Scene()
    scene.sharpen(LEFT)
    scene.whole.tell(refinement(1, 1000, 25.0))
    await scene.next()
    scene.whole.tell(LinkLost("gone"))
    with pytest.raises(LinkLost):
        await scene.next()
    assert scene.parts[0][2].closed
    scene = Scene()
    scene.sharpen(LEFT)
    scene.whole.tell(refinement(1, 1000, 25.0))
    await scene.next()
    scene.parts[0][2].tell(LinkLost("gone"))
    with pytest.raises(LinkLost):
        await scene.next()
    assert scene.whole.closed


@pytest.mark.asyncio
async def test_it_can_be_left_at_any_time() -> None:
    scene = Scene()
    scene.sharpen(LEFT)
    scene.whole.tell(refinement(1, 1000, 25.0))
    await scene.next()
    waiting = asyncio.create_task(scene.next())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert scene.whole.closed
    assert scene.parts[0][2].closed


def test_a_wish_has_a_target() -> None:
    assert wished(None, WHOLE, 0) is None
    assert wished(LEFT, WHOLE, 5) == Wish(LEFT, GOOD, 5)
    assert wished(LEFT, Target(bytes=9), 0) == Wish(LEFT, Target(bytes=9))
