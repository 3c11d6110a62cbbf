"""Pages of a catalogue never fill what is on the way to a receiver."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from websockets.asyncio.connection import Connection

from diffc_server.websocket.page_window import MOST, PATIENCE, PageWindow

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]


class Link:
    """Answers a PING after ``late`` seconds and ``each`` for every page before it, or never."""

    def __init__(self, late: float | None, each: float = 0.0) -> None:
        self.late = late
        self.each = each
        self.pages = self.most = 0

    async def ping(self) -> asyncio.Future[float]:
        """Send one."""
        answer = asyncio.get_running_loop().create_future()
        self.most = max(self.most, self.pages)
        if self.late is not None:
            late = self.late + self.each * self.pages
            asyncio.get_running_loop().call_later(late, answer.set_result, 0.0)
        self.pages = 0
        return answer


async def sent(link: Link, pages: int, window: PageWindow | None = None) -> float:
    """Return how long it takes to send at least so many pages."""
    window, clock = window or PageWindow(cast(Connection, link)), asyncio.get_running_loop().time
    began = clock()
    while pages > 0:
        link.pages = window.size
        pages -= window.size
        await window.sent()
    return clock() - began


async def test_on_a_slow_link_one_page_is_under_way() -> None:
    link = Link(0.0, 3.0)
    assert await sent(link, 20) == pytest.approx(60.0)
    assert link.most == 1


async def test_a_link_that_takes_them_gets_many_at_once() -> None:
    link = Link(0.6)
    assert await sent(link, 200) == pytest.approx(9 * 0.6)
    assert link.most == MOST


async def test_a_fast_link_needs_few_answers() -> None:
    link = Link(0.1)
    assert await sent(link, 1 + 8 + MOST) == pytest.approx(3 * 0.1)
    assert link.most == MOST


async def test_a_burst_takes_a_second_or_two_at_most() -> None:
    link = Link(0.1, 0.1)
    assert await sent(link, 200) < 200 * 0.1 * 1.25
    assert link.most == 16


async def test_a_link_that_slows_down_gets_fewer_again() -> None:
    link = Link(0.1)
    window = PageWindow(cast(Connection, link))
    await sent(link, 200, window)
    link.late = 5.0
    await sent(link, 2 * MOST, window)
    assert window.size == 1


async def test_who_does_not_answer_is_not_waited_for_for_ever() -> None:
    assert await sent(Link(None), 3) == pytest.approx(3 * PATIENCE)
