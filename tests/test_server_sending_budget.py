"""All receivers together get no more than the budget allows, and the rest when it does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC
from pathlib import Path

import pytest
from mirroring import NAMES, folder, kept, mirroring
from serving import serving

from diffc_server.__main__ import main
from diffc_server.auth.access_control import AccessControl
from diffc_server.auth.quotas import unlimited_quota
from diffc_server.auth.sending_budget import SendingBudget
from diffc_stream.budget import Budget, Window
from diffc_stream.ledger import Ledger, NotesFile

__all__ = ["folder", "kept"]
START = 20_000 * 86_400.0 + 12 * 3600 + 50 * 60
"""Ten minutes before one o'clock."""


def clock() -> Callable[[], float]:
    """Return a clock that follows the event loop's and begins at START."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    return lambda: START + loop.time() - start


def held(kept: Path) -> int:
    return sum(path.stat().st_size for path in kept.rglob("*.dfc"))


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_sending_waits_for_the_next_hour(folder: Path, kept: Path, tmp_path: Path) -> None:
    now, path = clock(), tmp_path / "spent"
    budget = SendingBudget(Ledger(Budget(hour=9000, zone=UTC), NotesFile(path), clock=now))
    reception = AccessControl(budget=budget)
    async with (
        serving(folder, reception=reception) as daemon,
        mirroring(kept, daemon.url) as watcher,
    ):
        await asyncio.sleep(120)
        first = held(kept)
        # A frame more at most, and not much less: the protocol takes its part.
        assert 7000 < first < 9000 + 4096
        await asyncio.sleep(120)
        assert held(kept) == first
        async with asyncio.timeout(3 * 3600):
            while not set(NAMES) <= set(watcher.complete):  # noqa: ASYNC110
                await asyncio.sleep(20)
        assert now() >= START + 600
    await budget.close()
    assert 15_000 < json.loads(path.read_bytes())["spent"]["day"][1] < 20_000


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_one_budget_for_all(tmp_path: Path) -> None:
    now = clock()
    limits = Budget(day=1000, windows=(Window.parse("12:00-13:00"),), zone=UTC)
    budget = SendingBudget(Ledger(limits, NotesFile(tmp_path / "spent"), clock=now))
    one, other = unlimited_quota(budget), unlimited_quota(budget)
    assert one.paced
    assert not unlimited_quota().paced
    assert one.ready_at(5.0) == 5.0
    one.spend(1000)
    assert other.ready_at(5.0) == 5.0 + 60.0  # when it looks again
    began = now()
    await budget.afford(400)
    assert now() - began == 86_400 - 50 * 60
    await budget.afford(2000)  # more than a day's
    assert now() - began == 2 * 86_400 - 50 * 60
    await budget.close()


def test_a_budget_needs_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--bytes-per-day", "5M", "--port", "0"]) == 2
    assert "need --budget-file FILE" in capsys.readouterr().err


def test_a_budget_file_that_cannot_be_written_is_said_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = tmp_path / "no such folder" / "spent"
    limits = ["--bytes-per-day", "5M", "--budget-file", str(there)]
    assert main([str(tmp_path), *limits, "--port", "0"]) == 1
    [line] = [line for line in capsys.readouterr().err.splitlines() if "spent" in line]
    assert line.startswith(f"diffc-server: {there}: ")
