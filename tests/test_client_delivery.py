"""A picture on its way."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import numpy as np
import pytest

from diffc_client import Delivery, Refinement
from diffc_client.api.demand import Demand
from diffc_stream.session import WHOLE, Target


def refinement(size: int) -> Refinement:
    return Refinement(
        image=np.zeros((1, 1, 3), np.uint8),
        bytes=size,
        bpp=8.0 * size,
        predicted_psnr=None,
        complete=size == 3,
        description={},
    )


class Source:
    """Three refinements, and how often they were stopped."""

    def __init__(self) -> None:
        self.stopped = 0

    async def refinements(self) -> AsyncGenerator[Refinement, None]:
        try:
            for size in (1, 2, 3):
                yield refinement(size)
        finally:
            self.stopped += 1


@pytest.mark.asyncio
async def test_it_gives_what_comes() -> None:
    delivery = Delivery(Source().refinements(), Demand())
    assert [r.bytes async for r in delivery] == [1, 2, 3]
    with pytest.raises(StopAsyncIteration):
        await anext(delivery)


@pytest.mark.asyncio
async def test_leaving_early_stops_it() -> None:
    source = Source()
    delivery = Delivery(source.refinements(), Demand())
    assert (await anext(delivery)).bytes == 1
    assert source.stopped == 0
    await delivery.aclose()
    assert source.stopped == 1
    assert [r async for r in delivery] == []


@pytest.mark.asyncio
async def test_an_update_replaces_all() -> None:
    wanted = Demand(Target(bytes=100, side=64), 5.0)
    delivery = Delivery(Source().refinements(), wanted)
    delivery.update(bpp=0.5, psnr=31.0, weight=2.0)
    assert (wanted.target, wanted.weight) == (Target(bpp=0.5, psnr=31.0), 2.0)
    delivery.update()
    assert (wanted.target, wanted.weight) == (WHOLE, 1.0)
    await delivery.aclose()
