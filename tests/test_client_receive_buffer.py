"""What has arrived is taken together, and too much that waits holds up the link."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from diffc_client.remote.receive_buffer import MOST_WAITING, Backlog, IncomingStream
from diffc_stream.errors import LinkLost
from diffc_stream.session import Data, End, Reason

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]


class Link:
    """Takes note of what is stopped."""

    def __init__(self) -> None:
        self.stopped: list[int] = []

    def stop(self, stream: int) -> None:
        """Stop one."""
        self.stopped.append(stream)


def data(payload: bytes, offset: int = 0) -> Data:
    return Data(stream=1, offset=offset, payload=payload)


def incoming(backlog: Backlog | None = None) -> IncomingStream:
    link: Any = Link()
    return IncomingStream(link, 1, backlog)


async def test_all_that_is_there_is_taken_at_once() -> None:
    one = incoming()
    end = End(stream=1, reason=Reason.COMPLETE, length=3)
    for event in (data(b"a"), data(b"bc", 1)):
        one.put(event)
    assert await one.several() == (b"abc", None)
    one.put(data(b"d", 3))
    one.put(end)
    assert await one.several() == (b"d", end)
    one.put(end)
    assert await one.several() == (b"", end)


async def test_what_came_before_an_error_is_not_lost() -> None:
    one = incoming()
    one.put(data(b"a"))
    one.put(data(b"b", 1))
    one.put(LinkLost("gone"))
    assert await one.several() == (b"ab", None)
    with pytest.raises(LinkLost):
        await one.several()


async def test_too_much_that_waits_holds_up_the_link() -> None:
    backlog = Backlog()
    one, other, free = incoming(backlog), incoming(backlog), incoming()
    free.put(data(bytes(2 * MOST_WAITING)))
    await backlog.room()
    one.put(data(bytes(MOST_WAITING)))
    other.put(data(b"x"))
    waiting = asyncio.create_task(backlog.room())
    await asyncio.sleep(1)
    assert not waiting.done()
    assert await other.next() == data(b"x")
    await waiting
    # What is not wanted any more does not count.
    other.put(data(b"y"))
    waiting = asyncio.create_task(backlog.room())
    one.stop()
    await waiting
    one.put(data(bytes(MOST_WAITING)))
    await one.several()
    assert backlog.nbytes == 1
