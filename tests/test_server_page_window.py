"""Pages of a catalogue never fill what is on the way to a receiver."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from websockets.asyncio.connection import Connection

from diffc_server.websocket.page_window import MOST, PATIENCE, PageWindow

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]


class Link:
    """Answers PINGs ``late``, in seconds after they were sent, or never."""

    def __init__(self, late: float | None) -> None:
        self.late = late
        self.under_way = self.most = 0

    async def ping(self) -> asyncio.Future[float]:
        """Send one."""
        answer = asyncio.get_running_loop().create_future()
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        if self.late is not None:
            asyncio.get_running_loop().call_later(self.late, self._answer, answer)
        return answer

    def _answer(self, answer: asyncio.Future[float]) -> None:
        self.under_way -= 1
        answer.set_result(0.0)


async def sent(link: Link, pages: int) -> float:
    """Return how long it takes to send pages."""
    window, clock = PageWindow(cast(Connection, link)), asyncio.get_running_loop().time
    began = clock()
    for _ in range(pages):
        await window.sent()
    return clock() - began


async def test_on_a_slow_link_one_page_is_under_way() -> None:
    link = Link(3.0)
    assert await sent(link, 20) == pytest.approx(60.0)
    assert link.most == 1


async def test_a_link_that_takes_them_gets_many_at_once() -> None:
    link = Link(0.6)
    assert await sent(link, 200) < 200 * 0.6 / 8
    assert MOST // 2 < link.most <= MOST


async def test_a_link_that_slows_down_gets_fewer_again() -> None:
    link = Link(0.1)
    window = PageWindow(cast(Connection, link))
    for _ in range(50):
        await window.sent()
    link.late = 5.0
    for _ in range(20):
        await window.sent()
    link.most = link.under_way
    for _ in range(5):
        await window.sent()
    assert link.most == 1


async def test_who_does_not_answer_is_not_waited_for_for_ever() -> None:
    assert await sent(Link(None), 3) == pytest.approx(3 * PATIENCE)
