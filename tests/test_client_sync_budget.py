"""A mirror with a budget: it never spends more, also over restarts, and goes on when it may."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from fakes import StreamOpener, stream_of
from mirroring import NAMES, asked, folder, kept, mirroring
from serving import serving

from diffc_stream.budget import Budget, Window
from diffc_stream.ledger import Ledger, NotesFile
from diffc_stream.order import Order
from diffc_stream.session import Target

__all__ = ["folder", "kept"]
pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]
NOON = 20_000 * 86_400.0 + 12 * 3600


def clock() -> Callable[[], float]:
    """Return a clock that follows the event loop's and starts at noon."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    return lambda: NOON + loop.time() - start


def book(path: Path, now: Callable[[], float], **limits: Any) -> Ledger:
    return Ledger(Budget(zone=UTC, **limits), NotesFile(path), clock=now)


def sizes(kept: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in kept.rglob("*.dfc")}


def size(kept: Path) -> int:
    return sum(sizes(kept).values())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for days, if need be."""
    async with asyncio.timeout(3 * 86_400):
        while not condition():  # noqa: ASYNC110 - files are looked at, too
            await asyncio.sleep(20)


async def test_no_more_than_allowed_and_the_rest_later(
    folder: Path, kept: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "diffc_client")
    now = clock()
    async with serving(folder) as daemon:
        ledger = book(tmp_path / "spent", now, hour=4000)
        async with mirroring(kept, daemon.url, ledger=ledger) as watcher:
            await until(lambda: "allows more from" in caplog.text)
            assert (size(kept), daemon.connections) == (4000, 0)
            # First bytes of all came before last bytes of any.
            assert min(sizes(kept).values()) >= 256
        # A restart within the hour gets nothing, a later one the rest.
        ledger = book(tmp_path / "spent", now, hour=4000)
        assert ledger.room() == 0
        async with mirroring(kept, daemon.url, ledger=ledger) as watcher:
            await until(lambda: set(NAMES) <= set(watcher.complete))
        assert NOON + 3 * 3600 <= now() < NOON + 5 * 3600
    assert size(kept) == 15_000
    assert json.loads((tmp_path / "spent").read_bytes())["spent"]["day"][1] == 15_000
    for name in NAMES:
        assert (kept / f"{name}.dfc").read_bytes() == stream_of(Path(name).name, 5000)


async def test_within_windows_only(folder: Path, kept: Path, tmp_path: Path) -> None:
    now = clock()
    ledger = book(tmp_path / "spent", now, windows=(Window.parse("13:00-13:03"),))
    async with (
        serving(folder) as daemon,
        mirroring(kept, daemon.url, ledger=ledger, target=Target(bytes=1000)) as watcher,
    ):
        await until(lambda: set(NAMES) <= set(watcher.complete))
        assert NOON + 3600 <= now() < NOON + 3700
        await until(lambda: now() > NOON + 2 * 3600)
        assert not watcher.mirror.connected
        (folder / "new.png").write_bytes(b"new")
        await until(lambda: "new.png" in watcher.complete)
        assert NOON + 25 * 3600 <= now() < NOON + 25 * 3600 + 100


async def test_the_newest_and_the_most_important_first(
    kept: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "diffc_server")
    folder = tmp_path / "served"
    folder.mkdir()
    names = [f"{number}.png" for number in range(6)]
    for number, name in enumerate((*names, "alarm.png")):
        (folder / name).write_bytes(name.encode())
        os.utime(folder / name, (1000 - number, 1000 - number))
    streams = {name: stream_of(name, 5000) for name in (*names, "alarm.png")}
    order = Order(newest=True, first=("alarm*",))
    ledger = book(tmp_path / "spent", clock(), hour=11_000)
    async with (
        serving(folder, StreamOpener(streams)) as daemon,
        mirroring(kept, daemon.url, ledger=ledger, order=order) as watcher,
    ):
        await until(lambda: ledger.room() == 0 and not watcher.mirror.connected)
        whole = {name for name, held in sizes(kept).items() if held == 5000}
        assert whole == {"alarm.png.dfc", "0.png.dfc"}
        assert size(kept) == 11_000
        assert not asked(caplog, "3.png")
