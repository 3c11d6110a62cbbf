"""Waiting before trying again."""

from __future__ import annotations

import pytest

from diffc_stream.errors import PeerError, SenderLeaving
from diffc_stream.transport.backoff import Backoff


@pytest.mark.asyncio
async def test_waits_grow_up_to_the_longest() -> None:
    backoff = Backoff(first=1e-4, longest=1e-3, patience=None, draw=lambda: 1.0)
    waits = [await backoff.pause(OSError()) for _ in range(6)]
    assert waits == pytest.approx([1e-4, 2e-4, 4e-4, 8e-4, 1e-3, 1e-3])
    backoff.progress()
    assert await backoff.pause(OSError()) == pytest.approx(1e-4)


@pytest.mark.asyncio
async def test_waits_are_drawn() -> None:
    assert await Backoff(draw=lambda: 0.0).pause(OSError()) == 0.0


@pytest.mark.asyncio
async def test_patience_ends_with_the_failure_itself() -> None:
    failure = OSError("no route")
    with pytest.raises(OSError, match="no route") as caught:
        await Backoff(patience=1.0, first=2.0, draw=lambda: 1.0).pause(failure)
    assert caught.value is failure


@pytest.mark.asyncio
async def test_a_fresh_one_has_seen_nothing() -> None:
    backoff = Backoff(first=1e-6, patience=None, draw=lambda: 1.0)
    for _ in range(100):
        await backoff.pause(OSError())
        backoff.longest = 1e-6
    assert await backoff.fresh().pause(OSError()) == 1e-6


@pytest.mark.asyncio
async def test_who_leaves_says_when_to_come_back() -> None:
    backoff = Backoff(first=1e-6, longest=1e-3, patience=None, draw=lambda: 0.5)
    assert await backoff.pause(SenderLeaving(4e-4)) == pytest.approx(2e-4)
    # However often: it is not a failure that gets worse.
    assert await backoff.pause(SenderLeaving(4e-4)) == pytest.approx(2e-4)
    # But nobody waits for a day because somebody says so.
    assert await backoff.pause(SenderLeaving(86_400.0)) == pytest.approx(5e-4)


@pytest.mark.asyncio
async def test_patience_counts_what_who_leaves_asks_for() -> None:
    failure = SenderLeaving(5.0)
    with pytest.raises(SenderLeaving) as caught:
        await Backoff(patience=1.0, draw=lambda: 1.0).pause(failure)
    assert caught.value is failure


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_who_is_busy_says_how_long_at_least() -> None:
    backoff = Backoff(first=1.0, patience=None, draw=lambda: 0.5)
    assert await backoff.pause(PeerError("busy", "so busy", retry=True, after=7.0)) == 7.5
    assert await backoff.pause(PeerError("busy", "so busy", retry=True)) == 1.0
    # But nobody waits for a day because somebody says so.
    assert await backoff.pause(PeerError("busy", "!", retry=True, after=86_400.0)) == 602.0
