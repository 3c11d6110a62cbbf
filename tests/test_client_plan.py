"""What a mirror would receive is told, and nothing is received or changed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
from mirroring import NAMES, folder, kept, mirroring
from serving import Background, serving

from diffc_client import Address
from diffc_client.__main__ import main
from diffc_client.mirror.plan import plan, planned
from diffc_client.mirror.state import Record
from diffc_stream.budget import Budget
from diffc_stream.ledger import Ledger, NotesFile
from diffc_stream.order import Order
from diffc_stream.session import MAX_STREAM, Entry, Reason, Target

__all__ = ["folder", "kept"]
NOON = 20_000 * 86_400.0 + 12 * 3600


def record(name: str, size: int, time: int, held: int = 0) -> Record:
    return Record(entry=Entry(name=name, size=size, time=time, thumbprint="0" * 16), held=held)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def ledger(path: Path, budget: Budget) -> Ledger:
    return Ledger(budget, NotesFile(path / "none", read_only=True), clock=lambda: NOON)


def test_order_bytes_and_times(tmp_path: Path) -> None:
    records = [
        record("old.dfc", 1000, 1),
        record("new.dfc", 2000, 3, held=500),
        record("x.png", 77, 2),
        replace(record("done.dfc", 600, 9), ended=Reason.COMPLETE, length=600),
    ]
    book = ledger(tmp_path, Budget(hour=1500, zone=UTC))
    found = planned(records, Target(), Order(newest=True, first=("old*",)), book, NOON)
    rows = [(one.name, one.left, one.held, one.estimated) for one in found.pictures]
    assert rows == [
        ("old.dfc", 1000, 0, False),
        ("new.dfc", 1500, 500, False),
        ("x.png", 1200, 0, True),
    ]
    times = [((one.begins or 0) - NOON, (one.ends or 0) - NOON) for one in found.pictures]
    assert times == [(0, 0), (3600, 3600), (7200, 7200)]
    assert (found.complete, found.room, found.opens) == (1, 1500, NOON)
    # In rounds, those with the fewest bytes begin; all first bytes come at once.
    rounds = planned(records, Target(bytes=800), Order(), book, NOON)
    assert [one.name for one in rounds.pictures] == ["x.png", "old.dfc", "new.dfc"]
    assert {one.begins for one in rounds.pictures} == {NOON}
    assert [one.left for one in rounds.pictures] == [800, 800, 300]
    lines = list(found.lines(as_json=False))
    assert lines[-2].startswith("3 pictures, about 3,700 bytes to come; 1 are complete")
    assert lines[-1] == "budget: 1,500 bytes a hour; 1,500 bytes now"
    [told] = rounds.lines(as_json=True)
    assert json.loads(told)["pictures"][0]["name"] == "x.png"


def test_no_stream_is_longer_than_any_whatever_a_sender_says(tmp_path: Path) -> None:
    book = ledger(tmp_path, Budget(zone=UTC))
    found = planned([record("huge.dfc", 2**53, 1)], Target(), Order(newest=True), book, NOON)
    assert [one.left for one in found.pictures] == [MAX_STREAM]


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_of_a_sender_and_a_folder(folder: Path, kept: Path, tmp_path: Path) -> None:
    (folder / "ready.dfc").write_bytes(b"0f0f0f0f")
    book = ledger(tmp_path, Budget(zone=UTC))
    async with serving(folder) as daemon:
        async with mirroring(kept, daemon.url) as watcher:
            await watcher.until_complete(*NAMES)
        (folder / "a.png").write_bytes(b"another")
        (kept / "b.png.dfc").write_bytes(b"x" * 10)
        before = names(kept)
        address = Address.parse(daemon.url)
        found = await plan([address], kept, target=Target(), order=Order(), ledger=book)
        named = await plan(
            [Address.parse(f"{daemon.url}/z.png")],
            tmp_path / "none",
            target=Target(bytes=9),
            order=Order(),
            ledger=book,
        )
    assert {(one.name, one.held) for one in found.pictures} == {("a.png", 0), ("b.png", 10)}
    assert found.complete == 2
    assert names(kept) == before
    assert [(one.name, one.left) for one in named.pictures] == [("z.png", 9)]
    assert not (tmp_path / "none").exists()


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "new"
    with Background(folder) as url:
        limits = ("--bytes-per-day", "2K", "--between", "00:00-24:00", "--bytes", "1000")
        assert main(["mirror", url, str(kept), "--plan", *limits]) == 0
    out = capsys.readouterr().out
    assert "3 pictures, 3,000 bytes to come; 0 are complete" in out
    assert "budget: 2,048 bytes a day, 00:00-24:00; 2,048 bytes now" in out
    assert not kept.exists()
    assert main(["mirror", "--listen", "0", str(kept), "--plan"]) == 2
