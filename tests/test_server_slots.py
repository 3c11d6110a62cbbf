"""Who computes, who waits, and who is sent away."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from diffc_server.encoding.slots import FIRST_GUESS, LINGER, LONGEST, SHORTEST, EncoderSlots
from diffc_stream.errors import RequestRefused
from diffc_stream.session import Code

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]


@dataclass(eq=False, slots=True)
class Somebody:
    """Needs a seat; ``log`` tells who had to stand up."""

    name: str = ""
    weight: int = 1
    spare_since: float | None = None
    idle: bool = False
    log: list[str] = field(default_factory=list)

    def rest(self) -> None:
        """Let go."""
        self.log.append(self.name)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_first_come_first_served() -> None:
    slots = EncoderSlots(slots=1)
    people = [Somebody() for _ in range(4)]
    await slots.acquire(people[0])
    served: list[int] = []

    async def take(number: int) -> None:
        await slots.acquire(people[number])
        served.append(number)

    async with asyncio.TaskGroup() as tasks:
        for number in (1, 2, 3):
            tasks.create_task(take(number))
        await settle()
        assert (slots.in_use, slots.waiting, served) == (1, 3, [])
        for number in (0, 1, 2):
            slots.release(people[number])
            slots.release(people[number])  # once is enough
            await settle()
            assert served == [1, 2, 3][: number + 1]
    assert (slots.in_use, slots.waiting) == (1, 0)


async def test_those_whom_nobody_listens_to_stand_up_first() -> None:
    slots, log = EncoderSlots(slots=3), list[str]()
    now = asyncio.get_running_loop().time()
    for name, since, idle in (("a", now - 50, False), ("b", now - 1, True), ("c", now - 2, True)):
        await slots.acquire(Somebody(name, spare_since=since, idle=idle, log=log))
    for _ in range(3):
        await slots.acquire(Somebody())
    assert log == ["c", "b", "a"]


async def test_those_who_are_listened_to_may_pause_for_a_while() -> None:
    slots, loop = EncoderSlots(slots=2), asyncio.get_running_loop()
    began = loop.time()
    log: list[str] = []
    for name in "ab":
        await slots.acquire(Somebody(name, spare_since=began, log=log))
    await slots.acquire(Somebody())
    assert log == ["a"]
    assert loop.time() == pytest.approx(began + LINGER)
    slots.close()


async def test_nobody_stands_up_who_computes() -> None:
    slots = EncoderSlots(slots=1)
    computing = Somebody(idle=True)
    await slots.acquire(computing)
    waiting = asyncio.create_task(slots.acquire(Somebody()))
    await asyncio.sleep(10 * LINGER)
    assert not waiting.done()
    computing.spare_since = asyncio.get_running_loop().time()
    slots.serve_queue()
    await waiting


async def test_pixels_count_but_for_one_alone() -> None:
    slots = EncoderSlots(pixels=10)
    large, small = Somebody(weight=20), Somebody(weight=2)
    await slots.acquire(large)
    assert slots.can_keep(large)
    waiting = asyncio.create_task(slots.acquire(small))
    await settle()
    assert slots.waiting == 1
    slots.release(large)
    await waiting
    unknown = Somebody(weight=0)
    await slots.acquire(unknown)
    unknown.weight = 8
    assert slots.can_keep(unknown)
    unknown.weight = 9
    assert not slots.can_keep(unknown)


async def test_beyond_the_line_people_are_sent_away_with_a_time() -> None:
    slots = EncoderSlots(slots=1, queue=2, encoders=2)
    await slots.acquire(Somebody())
    assert slots.estimated_wait() == FIRST_GUESS / 2
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(slots.acquire(Somebody())) for _ in range(2)]
        await settle()
        slots.record_duration(10.0)
        slots.record_duration(30.0)
        with pytest.raises(RequestRefused, match="too many pictures") as caught:
            await slots.acquire(Somebody())
        assert (caught.value.code, caught.value.retry) == (Code.BUSY, True)
        assert caught.value.after == 20.0 * 3 / 2
        for task in waiting:
            task.cancel()
    assert slots.waiting == 0


async def test_the_time_is_neither_none_nor_for_ever() -> None:
    slots = EncoderSlots()
    slots.record_duration(0.001)
    assert slots.estimated_wait() == SHORTEST
    for _ in range(100):
        slots.record_duration(1e9)
    assert slots.estimated_wait() == LONGEST


async def test_who_leaves_the_line_takes_no_seat() -> None:
    slots = EncoderSlots(slots=1)
    first, second, third = (Somebody() for _ in range(3))
    await slots.acquire(first)
    leaving = asyncio.create_task(slots.acquire(second))
    staying = asyncio.create_task(slots.acquire(third))
    await settle()
    # Its turn has come, but it has not heard of it yet.
    slots.release(first)
    leaving.cancel()
    await staying
    assert (slots.in_use, slots.waiting) == (1, 0)
    await asyncio.wait([leaving])
    assert leaving.cancelled()
