"""What somebody is sent is encoded at once; what has yet to be proven makes way, not for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
import pytest_asyncio
from serving import settled

from diffc_server.threads.encoder_threads import EncoderThreads
from diffc_stream import work

pytestmark = pytest.mark.asyncio

SENT, CLAIMED, OTHER = "sent", "claimed", "claimed too"
LONG = 10_000.0
"""Seconds."""


class Clock:
    """Seconds, that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        """Return what time it is."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("diffc_server.threads.encoder_threads.perf_counter", clock)
    return clock


@pytest_asyncio.fixture
async def encoders() -> AsyncIterator[EncoderThreads]:
    encoders = EncoderThreads(1)
    yield encoders
    encoders.close()


class Work:
    """A piece that takes so long until it tells how far it is, and as long afterwards."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self.began, self.go_on = threading.Event(), threading.Event()
        self.half = False

    def __call__(self) -> str:
        """Work."""
        self.began.set()
        self.go_on.wait()
        self._clock.now += self._seconds
        work.tell("working", 0.5)
        self.half = True
        self._clock.now += self._seconds
        return "done"


@contextmanager
def needed(encoders: EncoderThreads, stream: str) -> Iterator[None]:
    encoders.need(stream)
    try:
        yield
    finally:
        encoders.rest(stream)


async def begun(
    encoders: EncoderThreads, piece: Work, stream: str = CLAIMED
) -> asyncio.Task[object]:
    task: asyncio.Task[object] = asyncio.create_task(encoders.compute(stream, piece))
    await settled(piece.began.is_set)
    return task


async def test_what_is_sent_does_not_wait_for_a_claim(
    encoders: EncoderThreads, clock: Clock
) -> None:
    piece = Work(clock, LONG)
    claim = await begun(encoders, piece)
    with needed(encoders, SENT):
        assert await encoders.compute(SENT, lambda: 7) == (7, 0.0)
        assert not claim.done()
    piece.go_on.set()
    assert await claim == ("done", 2 * LONG)


async def test_a_claim_stands_still_while_something_is_sent(
    encoders: EncoderThreads, clock: Clock
) -> None:
    piece = Work(clock, LONG)
    claim = await begun(encoders, piece)
    with needed(encoders, SENT):
        piece.go_on.set()
        await settled(lambda: encoders._demand._claims == 0)
        # What passes meanwhile is nobody's time.
        clock.now += LONG
        assert not piece.half
        # The next claim's piece does not even begin.
        other = Work(clock, 1.0)
        waiting = asyncio.create_task(encoders.compute(OTHER, other))
        await encoders.compute(SENT, lambda: 7)
        assert not other.began.is_set()
        other.go_on.set()
    assert await claim == ("done", 2 * LONG)
    assert await waiting == ("done", 2.0)


async def test_a_share_of_the_time_is_theirs(
    encoders: EncoderThreads, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = list[float | None]()
    condition = encoders._demand._changed

    def wait(_: object, timeout: float | None = None) -> bool:
        waits.append(timeout)
        return False

    monkeypatch.setattr(condition, "wait_for", wait)
    piece = Work(clock, 5.0)
    piece.go_on.set()
    with needed(encoders, SENT):
        for _ in range(2):
            assert await encoders.compute(CLAIMED, piece) == ("done", 10.0)
    assert waits == pytest.approx([0.0, 20.0, 20.0, 20.0])


async def test_a_claim_that_somebody_is_sent_goes_on(
    encoders: EncoderThreads, clock: Clock
) -> None:
    piece = Work(clock, LONG)
    claim = await begun(encoders, piece)
    with needed(encoders, SENT):
        piece.go_on.set()
        await settled(lambda: encoders._demand._claims == 0)
        with needed(encoders, CLAIMED):
            assert await claim == ("done", 2 * LONG)


async def test_encoders_that_nobody_needs_work_on_claims(clock: Clock) -> None:
    encoders = EncoderThreads(2)
    piece, other = Work(clock, LONG), Work(clock, LONG)
    with needed(encoders, SENT):
        claim = await begun(encoders, piece)
        piece.go_on.set()
        assert await claim == ("done", 2 * LONG)
        first = await begun(encoders, piece)
        second = asyncio.create_task(encoders.compute(OTHER, other))
        other.go_on.set()
        await first
    await second
    encoders.close()


async def test_who_stands_still_does_not_keep_a_daemon_from_ending(clock: Clock) -> None:
    encoders = EncoderThreads(1)
    piece = Work(clock, LONG)
    claim = await begun(encoders, piece)
    encoders.need(SENT)
    piece.go_on.set()
    await settled(lambda: encoders._demand._claims == 0)
    encoders.close()
    assert await claim == ("done", 2 * LONG)


async def test_what_fails_is_in_nobodys_way(encoders: EncoderThreads) -> None:
    with pytest.raises(ZeroDivisionError):
        await encoders.compute(CLAIMED, lambda: 1 / 0)
    assert encoders._demand._claims == 0
    assert (await encoders.compute(CLAIMED, lambda: 7))[0] == 7
