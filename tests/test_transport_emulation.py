"""A bad link that stays up until it is told to stop, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from diffc_stream.errors import AddressError
from diffc_stream.transport.emulation import EVERY, carry
from diffc_stream.transport.impaired_link import Link

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]


async def test_it_tells_how_it_goes_until_it_is_told_to_stop() -> None:
    stopped = asyncio.Event()
    told: list[tuple[float, int]] = []
    clock = asyncio.get_running_loop().time
    began = clock()

    def moved(link: Link) -> None:
        told.append((clock() - began, link.accepted))
        if len(told) == 3:
            stopped.set()

    ports: list[int] = []
    link = Link("127.0.0.1", 1)
    await carry(link, stopped, started=lambda link: ports.append(link.port), moved=moved)
    assert [when for when, _ in told] == pytest.approx([EVERY, 2 * EVERY, 3 * EVERY])
    assert [accepted for _, accepted in told] == [0, 0, 0]
    with pytest.raises(OSError, match="Connect"):
        await asyncio.open_connection("127.0.0.1", ports[0])


async def test_told_before_it_began_it_ends_at_once() -> None:
    stopped = asyncio.Event()
    stopped.set()
    told: list[str] = []
    await carry(
        Link("127.0.0.1", 1),
        stopped,
        started=lambda _: told.append("started"),
        moved=lambda _: told.append("moved"),
    )
    assert told == ["started"]


async def test_an_address_that_is_taken() -> None:
    async with Link("127.0.0.1", 1) as other:
        taken = Link("127.0.0.1", 1, listen=("127.0.0.1", other.port))
        with pytest.raises(AddressError, match=r"cannot listen on .*: address already"):
            await carry(taken, asyncio.Event(), started=print, moved=print)
