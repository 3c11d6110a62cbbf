"""Pictures that are left alone for some time."""

from __future__ import annotations

import asyncio

import pytest

from diffc_client.mirror.deferred import Deferred


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_each_is_tried_again_once_in_its_time() -> None:
    tried: list[str] = []
    parking = Deferred(tried.append)
    for _ in range(1000):
        parking.park("a", 10.0)
    parking.park("b", 20.0)
    parking.park("c", None)
    parking.park("d", 10.0)
    parking.discard("d")
    parking.discard("none")
    assert (len(parking), "a" in parking, "d" in parking) == (3, True, False)
    await asyncio.sleep(15)
    assert tried == ["a"]
    parking.clear()
    await asyncio.sleep(100)
    assert (tried, len(parking)) == (["a"], 0)
