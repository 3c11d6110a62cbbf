"""Commands that stay up; they are told to stop in the tests of each."""

from __future__ import annotations

import asyncio
import signal

import pytest

from diffc_stream.transport.signals import on_hangup, on_stop, stay


def test_work_that_fails_says_why() -> None:
    async def work() -> None:
        raise OSError("the port is taken")

    with pytest.raises(OSError, match="the port is taken"):
        stay(work())


@pytest.mark.asyncio
async def test_all_that_stops_a_command_is_heard_each_time() -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    on_stop(lambda: told.put_nowait("stop"))
    on_hangup(lambda: told.put_nowait("look again"))
    for signum, word in [
        (signal.SIGINT, "stop"),
        (signal.SIGTERM, "stop"),
        (signal.SIGHUP, "look again"),
        (signal.SIGINT, "stop"),
    ]:
        signal.raise_signal(signum)
        assert await told.get() == word
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().remove_signal_handler(signum)
