"""Closing goes on when whoever waits for it is cancelled."""

from __future__ import annotations

import asyncio
import threading

import pytest

from diffc_client.storage.shielded import shielded

pytestmark = pytest.mark.asyncio


async def test_it_is_waited_for() -> None:
    done = threading.Event()
    await shielded(done.set)
    assert done.is_set()


async def test_what_is_wrong_comes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        await shielded(lambda: 1 // 0)


async def test_whoever_is_cancelled_waits_all_the_same() -> None:
    begun, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def close() -> None:
        begun.set()
        assert go_on.wait(60)
        order.append("closed")

    async def closing() -> None:
        try:
            await shielded(close)
        finally:
            order.append("unlocked")

    task = asyncio.create_task(closing())
    assert await asyncio.to_thread(begun.wait, 60)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert order == ["closed", "unlocked"]
