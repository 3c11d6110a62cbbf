"""What was written, as it is noted."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from diffc_client.mirror import journal as module
from diffc_client.mirror.confined_folder import ConfinedFolder
from diffc_client.mirror.content import EMPTY, Content
from diffc_client.mirror.journal import NAME, Journal
from diffc_client.mirror.paths import BLOCK

ONE, TWO = Content.of(b"one"), Content.of(b"two" * BLOCK)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(ConfinedFolder(tmp_path))
    yield journal
    journal.close()


def again(home: Path) -> Journal:
    """Return what the next process knows."""
    journal = Journal(ConfinedFolder(home))
    journal.close()
    return journal


def names(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir())


def test_what_is_noted_is_known_to_the_next(tmp_path: Path, journal: Journal) -> None:
    assert journal.fresh
    journal.note("a", EMPTY)
    journal.note("a", ONE, EMPTY)
    journal.note("b", TWO)
    journal.note("c", ONE)
    journal.forget("c")
    journal.note_folder("sub", 7)
    journal.note_folder("gone", 8)
    journal.forget_folder("gone")
    # The process before may have been killed: nothing was closed.
    for known in (journal, again(tmp_path), again(tmp_path)):
        assert (known.get("a"), known.get("b"), known.get("c")) == ((ONE, EMPTY), (TWO, None), None)
        assert (known.folder("sub"), known.folder("gone")) == (7, None)
        assert (known.files, known.folders, known.used) == (2, 1, 5 * BLOCK)
        assert known.names() == ["a", "b"]
    assert names(tmp_path) == [NAME.format(3)]


def test_lines_that_say_nothing_any_more_are_dropped(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_STALE", 50)
    for size in range(100):
        journal.note("a", Content.of(bytes(size)))
        journal.upkeep()
    assert names(tmp_path) != [NAME.format(1)]
    [path] = tmp_path.iterdir()
    assert path.read_bytes().count(b"\n") < 60
    path.unlink()
    journal.upkeep()
    assert again(tmp_path).get("a") == (Content.of(bytes(99)), None)


@pytest.mark.parametrize("cut", [1, 9, 40, 10**6])
def test_a_line_that_was_torn_is_none(tmp_path: Path, journal: Journal, cut: int) -> None:
    journal.note("a", ONE)
    journal.note("b", ONE)
    path = tmp_path / NAME.format(1)
    whole = path.read_bytes()
    last = whole[:-1].rindex(b"\n") + 1
    path.write_bytes(whole[: max(last, len(whole) - cut)])
    known = again(tmp_path)
    assert (known.get("a"), known.get("b")) == ((ONE, None), None)
    assert names(tmp_path) == [NAME.format(2)]


@pytest.mark.parametrize("change", [b"", b"mine\n", b"[]\n", b"[" * 10_000 + b" 12345678\n"])
def test_notes_that_somebody_changed_are_his(
    tmp_path: Path, journal: Journal, change: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    journal.note("a", ONE)
    path = tmp_path / NAME.format(1)
    data = path.read_bytes() + change if change else b""
    path.write_bytes(data)
    known = again(tmp_path)
    assert known.get("a") == ((ONE, None) if change else None)
    assert path.read_bytes() == data
    assert "was changed by another program, and is kept" in caplog.text
    assert names(tmp_path) == [NAME.format(1), NAME.format(2)]
    assert again(tmp_path).get("a") == known.get("a")


def test_what_others_call_so_is_theirs(tmp_path: Path) -> None:
    for number, kind in enumerate((b"mine", b""), 1):
        (tmp_path / NAME.format(number)).write_bytes(kind)
    (tmp_path / NAME.format(5)).symlink_to(tmp_path / NAME.format(1))
    os.mkfifo(tmp_path / NAME.format(6))
    (tmp_path / NAME.format(7)).mkdir()
    known = again(tmp_path)
    assert known.fresh
    assert names(tmp_path) == [NAME.format(number) for number in (1, 2, 5, 6, 7, 8)]


def test_a_disk_that_is_full(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    journal.note("a", ONE)
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_all", full)
        with pytest.raises(OSError, match="No space"):
            journal.note("a", TWO, ONE)
        journal.unnote("a", ONE)
        with pytest.raises(OSError, match="No space"):
            journal.renew()
        later = Journal(ConfinedFolder(tmp_path))
        assert later.get("a") == (ONE, None)
        with pytest.raises(OSError, match="No space"):
            later.note("b", ONE)
        assert names(tmp_path) == [NAME.format(1)]
    # There is room again.
    later.note("b", ONE)
    later.close()
    assert again(tmp_path).get("b") == (ONE, None)


def test_what_was_begun_is_deleted_by_the_next(tmp_path: Path, journal: Journal) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    with journal.temporary("done"):
        pass
    begun = journal.temporary("begun")
    begun.__enter__()
    for name in ("done", "begun"):
        (tmp_path / name).write_bytes(b"half")
    again(tmp_path)
    assert names(tmp_path)[1:] == ["done", "mine"]


def test_after_the_end_nothing_is_noted(tmp_path: Path, journal: Journal) -> None:
    journal.close()
    with pytest.raises(OSError, match="any more"):
        journal.note("a", ONE)
    assert again(tmp_path).get("a") is None
