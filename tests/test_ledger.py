"""What was spent stays spent: after a restart, a crash, and with a damaged file."""

from __future__ import annotations

import json
import logging
from datetime import UTC
from pathlib import Path

import pytest

from diffc_stream.budget import Budget, Window
from diffc_stream.ledger import Ledger, NotesFile

BUDGET = Budget(day=10_000, zone=UTC)
NOON = 20_000 * 86_400.0 + 12 * 3600


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def ledger(path: Path, budget: Budget = BUDGET, clock: Clock | None = None) -> Ledger:
    return Ledger(budget, NotesFile(path), clock=clock or Clock())


def test_what_is_reserved_is_not_given_twice(tmp_path: Path) -> None:
    book = ledger(tmp_path / "spent")
    assert (book.reserve(6000), book.reserve(6000), book.reserve(1)) == (6000, 4000, 0)
    assert (book.room(), book.wait(), book.open) == (0, 1.0, True)
    book.settle(6000, 100)
    assert book.room() == 5900
    book.settle(4000, 4000)
    book.spend(5900)
    assert (book.room(), book.wait(), book.open) == (0, 12 * 3600.0, False)


def test_a_restart_goes_on(tmp_path: Path) -> None:
    path, clock = tmp_path / "spent", Clock()
    book = ledger(path, clock=clock)
    book.spend(3000)
    book.save(last=True)
    assert ledger(path, clock=clock).room() == 7000
    clock.now += 86_400
    assert ledger(path, clock=clock).room() == 10_000
    # Other limits count what was spent, too.
    clock.now -= 86_400
    assert ledger(path, Budget(month=3100, zone=UTC), clock).room() == 100


def test_a_crash_never_gives_back(tmp_path: Path) -> None:
    """Whatever is spent, a file that is written when due says as much, or a percent more."""
    path = tmp_path / "spent"
    book, written = ledger(path), 0
    for _ in range(200):
        reserved = book.reserve(45)
        if book.due:
            book.save()
            written += 1
        spent = 10_000 - (ledger(path).room() or 0)
        assert book._used + reserved <= spent <= book._used + reserved + 100
        book.settle(reserved, reserved - 3)
    assert written < 200


@pytest.mark.parametrize(
    "damage",
    [
        *(b"", b"{", b"[" * 3000, b"x" * 5000, b'{"format": 2}', b'{"format": 1, "spent": {}}'),
        b'{"format": 1, "spent": {"hour": [0, -1], "day": [0, 0], "month": [0, 0]}}',
        b'{"format": 1, "spent": {"hour": [0, 1e3], "day": [0, 0], "month": [0, 0]}}',
        b'{"format": 1, "spent": {"hour": [NaN, 1], "day": [0, 0], "month": [0, 0]}}',
    ],
)
def test_damage_is_told_and_gives_nothing(
    damage: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, clock = tmp_path / "spent", Clock()
    path.write_bytes(damage)
    book = ledger(path, clock=clock)
    assert book.room() == 0
    assert "count as used up" in caplog.text
    assert len(caplog.messages) == 1
    assert (tmp_path / "spent.damaged-1").read_bytes() == damage
    book.save(last=True)
    assert ledger(path, clock=clock).room() == 0
    clock.now += 86_400
    assert ledger(path, clock=clock).room() == 10_000


def test_what_cannot_be_written_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    book = ledger(tmp_path / "missing" / "spent")
    for _ in range(3):
        book.spend(200)
        book.save()
    assert len(caplog.messages) == 1
    before = book.due
    (tmp_path / "missing").mkdir()
    book.save()
    assert (before, book.due) == (True, False)
    assert json.loads((tmp_path / "missing" / "spent").read_bytes())["format"] == 1


def test_processes_may_share_a_file(tmp_path: Path) -> None:
    path, clock = tmp_path / "spent", Clock()
    books = [ledger(path, clock=clock) for _ in range(2)]
    spent = 0
    while any(book.room() for book in books):
        for book in books:
            if book.room():
                book.spend(10)
                spent += 10
            if book.due:
                book.save()
    assert 10_000 - 2 * 100 <= spent <= 10_000 + 100  # ahead, each a percent
    for book in books:
        book.save(last=True)
    assert ledger(path, clock=clock).spending.periods["day"][1] == spent
    clock.now += 86_400
    assert [book.room() for book in books] == [10_000, 10_000]
    books[0].spend(4000)
    books[0].save(last=True)
    books[1].spend(3000)
    books[1].save(last=True)
    assert books[1].room() == 3000
    assert ledger(path, clock=clock).room() == 3000


def test_a_successor_knows_what_its_predecessor_spent_meanwhile(tmp_path: Path) -> None:
    path, clock = tmp_path / "spent", Clock()
    old = ledger(path, clock=clock)
    old.spend(5000)
    old.save()
    new = ledger(path, clock=clock)
    old.spend(1000)
    new.spend(300)
    new.save()
    old.save(last=True)
    new.save(last=True)
    assert new.room() == 3700
    assert ledger(path, clock=clock).room() == 3700
    path.unlink()  # as one may, though it is better done while nobody runs
    new.save(last=True)
    assert ledger(path, clock=clock).room() == 3700


def test_only_times_of_day(tmp_path: Path) -> None:
    book = ledger(tmp_path / "spent", Budget(windows=(Window.parse("13:00-14:00"),), zone=UTC))
    assert (book.room(), book.reserve(5), book.wait(), book.open) == (0, 0, 3600.0, False)
    always = ledger(tmp_path / "spent", Budget(windows=(Window.parse("11:00-14:00"),), zone=UTC))
    assert (always.room(), always.reserve(5), always.wait()) == (None, 5, 0.0)
