"""A file is checked again and again, whatever becomes of reading it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fakes import FakeOpener
from serving import pictures, serving, settled
from visitors import bearer, dial, greeted, guard, status_of
from websocket_client import everything

from diffc_server.auth import reloader
from diffc_server.auth.reloader import Reloader
from diffc_stream.transport.tokens import add_token

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloader, "REREAD", 0.0)


@asynccontextmanager
async def watching(
    reread: Callable[[], None], apply: Callable[[], None]
) -> AsyncIterator[Reloader]:
    file = Reloader("the file", reread, apply)
    file.start()
    try:
        yield file
    finally:
        await file.stop()


async def test_what_time_changes_is_applied_while_reading_hangs() -> None:
    answers, applied, read = threading.Event(), [0], [0]

    def reread() -> None:
        read[0] += 1
        answers.wait()

    def apply() -> None:
        applied[0] += 1

    async with watching(reread, apply) as file:
        await settled(lambda: read[0] == 1)
        before = applied[0]
        await settled(lambda: applied[0] > before + 3)
        file.check_soon()  # one at a time
        assert read[0] == 1
        answers.set()
        await settled(lambda: read[0] > 2)


async def test_what_was_read_is_applied_before_a_check_is_over() -> None:
    order: list[str] = []
    file = Reloader("the file", lambda: order.append("read"), lambda: order.append("applied"))
    await file.check()
    assert order == ["applied", "read", "applied"]
    await file.stop()


@pytest.mark.parametrize("where", ["reading", "applying"])
async def test_checking_outlives_errors(caplog: pytest.LogCaptureFixture, where: str) -> None:
    calls = {"reading": 0, "applying": 0}

    def call(what: str) -> None:
        calls[what] += 1
        if what == where and calls[what] < 3:
            raise ValueError("a bug")

    async with watching(lambda: call("reading"), lambda: call("applying")):
        await settled(lambda: min(calls.values()) > 3)
    assert caplog.text.count("checking the file failed") == 2


async def test_a_shortage_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    def short() -> None:
        raise MemoryError

    async with watching(short, lambda: None):
        await settled(lambda: "the file will be checked later" in caplog.text)
    assert not [record for record in caplog.records if record.exc_info]


async def test_nothing_is_checked_after_the_end() -> None:
    answers = threading.Event()

    def stuck() -> None:
        answers.wait()

    async with watching(stuck, lambda: None) as file:
        file.check_soon()
        await asyncio.sleep(0)
    file.check_soon()  # SIGHUP while it drains
    answers.set()
    assert file._checking is not None
    assert file._checking.done()


async def test_tokens_end_while_the_disk_of_pictures_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # checks when it is told to
    held = tmp_path / "tokens.toml"
    token = add_token(held, "ship")
    async with (
        serving(pictures(tmp_path), FakeOpener(), reception=guard(held)) as sender,
        greeted(sender.url, bearer(token)) as websocket,
        hung_disk(),
    ):
        held.write_text("# none\n")
        async with asyncio.timeout(60):
            await sender.reread()
            await everything(websocket)
            assert websocket.close_code == 1008
            assert await status_of(dial(sender.url, bearer(token))) == 401


@asynccontextmanager
async def hung_disk() -> AsyncIterator[None]:
    """Let the threads that look for pictures wait, as for a disk that does not answer."""
    answers, threads = threading.Event(), ThreadPoolExecutor(1)
    threads.submit(answers.wait)
    asyncio.get_running_loop().set_default_executor(threads)
    try:
        yield
    finally:
        answers.set()
