"""Much to do, bit by bit."""

from __future__ import annotations

import asyncio

import pytest

from diffc_client.mirror.cooperative import AT_ONCE, cooperatively

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]


async def test_others_have_their_turns_meanwhile() -> None:
    done, seen = list[int](), list[int]()

    async def other() -> None:
        while len(done) < 3 * AT_ONCE:
            seen.append(len(done))
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    async for number in cooperatively(range(3 * AT_ONCE)):
        done.append(number)
    await task
    assert done == list(range(3 * AT_ONCE))
    assert seen == [AT_ONCE, 2 * AT_ONCE]
