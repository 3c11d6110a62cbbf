"""Files of ours and of others in one folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from diffc_client.mirror import owned_folder as module
from diffc_client.mirror.owned_folder import Full, Occupied, OwnedFolder, Proof
from diffc_client.mirror.paths import BLOCK, Places

Open = Callable[..., OwnedFolder]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Return a function that opens the owned folder, anew every time."""
    with ExitStack() as stack:

        def again(**options: Any) -> OwnedFolder:
            stack.close()
            owned = OwnedFolder(Places(tmp_path), **options)
            stack.callback(owned.close)
            return owned

        yield again


def names(home: Path) -> list[str]:
    found = (str(path.relative_to(home)) for path in home.rglob("*"))
    return sorted(name for name in found if not name.startswith(".diffc-written-"))


def test_ours_is_what_was_written_here(tmp_path: Path, opened: Open) -> None:
    owned = opened()
    owned.replace("sub/a", b"first")
    owned.replace("sub/a", b"second")
    (tmp_path / "mine").write_bytes(b"mine")
    for _ in range(2):
        proofs = [owned.prove(name) for name in ("sub/a", "mine", "none", "no/where")]
        assert proofs == [Proof.OURS, Proof.FOREIGN, Proof.ABSENT, Proof.ABSENT]
        assert owned.read("sub/a") == b"second"
        assert owned.journal.used == 2 * BLOCK
        owned = opened()
    assert owned.remove("sub/a")
    assert not owned.remove("mine")
    assert names(tmp_path) == ["mine"]
    assert owned.journal.used == 0


@pytest.mark.parametrize("change", ["content", "time", "length", "link", "folder", "pipe"])
def test_what_was_changed_is_not_ours(tmp_path: Path, opened: Open, change: str) -> None:
    owned = opened()
    owned.replace("a", b"ours")
    path, before = tmp_path / "a", (tmp_path / "a").stat()
    if change == "content":
        path.write_bytes(b"mine")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "time":
        os.utime(path, (1, 1))
    elif change == "length":
        path.write_bytes(b"ours and mine")
    else:
        path.unlink()
        if change == "link":
            (tmp_path / "other").write_bytes(b"ours")
            path.symlink_to(tmp_path / "other")
        elif change == "folder":
            path.mkdir()
        else:
            os.mkfifo(path)
    if change == "time":  # it is as it was written all the same
        assert owned.remove("a")
        return
    assert owned.prove("a") is Proof.FOREIGN
    status = path.lstat()
    with pytest.raises(Occupied, match="it is kept"):
        owned.replace("a", b"again")
    assert not owned.remove("a")
    assert path.lstat() == status


def test_others_are_never_replaced(tmp_path: Path, opened: Open) -> None:
    owned = opened()
    (tmp_path / "a").write_bytes(b"")
    for attempt in (lambda: owned.replace("a", b"x"), lambda: owned.create("a")):
        with pytest.raises(Occupied):
            attempt()
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b""


def test_folders_of_others_stay(tmp_path: Path, opened: Open) -> None:
    owned = opened()
    (tmp_path / "theirs").mkdir()
    for name in ("theirs/ours/a", "ours/a", "mixed/a", "again/a"):
        owned.replace(name, b"x")
    (tmp_path / "mixed" / "mine").write_bytes(b"mine")
    # Made anew by somebody else.
    (tmp_path / "again" / "a").unlink()
    (tmp_path / "again").rename(tmp_path / "moved")
    (tmp_path / "again").mkdir()
    owned = opened()
    for name in ("theirs/ours/a", "ours/a", "mixed/a", "again/a"):
        assert owned.remove(name)
    assert names(tmp_path) == ["again", "mixed", "mixed/mine", "moved", "theirs"]


def test_links_are_not_followed(tmp_path: Path, opened: Open) -> None:
    owned = opened()
    owned.replace("sub/a", b"ours")
    (tmp_path / "sub").rename(tmp_path / "away")
    (tmp_path / "sub").symlink_to(tmp_path / "away")
    assert not owned.journal.get("sub/b")
    with pytest.raises(OSError):  # noqa: PT011 - systems differ in how they say it
        owned.replace("sub/b", b"x")
    owned.remove("sub/a")
    assert names(tmp_path) == ["away", "away/a", "sub"]
    for name in ("../a", "/a", "a//b", ".", "a/../../b"):
        with pytest.raises(OSError, match="not below"):
            owned.replace(name, b"x")


def test_limits(tmp_path: Path, opened: Open) -> None:
    owned = opened(most_bytes=4 * BLOCK, most_pictures=2)
    with pytest.raises(Full, match="folders"):
        owned.replace("a/b/c/d", b"x")
    with pytest.raises(Full, match="limit of disk space"):
        owned.replace("a/b", bytes(4 * BLOCK))
    assert names(tmp_path) == []
    owned.replace("a/b", bytes(3 * BLOCK))
    owned.replace("a/b", b"x")
    owned.replace("c", b"x", durable=True)
    owned = opened(most_bytes=100 * BLOCK, most_pictures=1)
    owned.replace("d", b"x")
    with pytest.raises(Full, match="files"):
        owned.replace("e", b"x")


@pytest.mark.parametrize("where", ["write_all", "note", "put"])
def test_a_disk_that_is_full_leaves_all_as_it_was(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    owned = opened()
    owned.replace("a", b"old")
    with monkeypatch.context() as patch:
        if where == "write_all":
            patch.setattr(module, "write_all", full)
        elif where == "note":
            patch.setattr(owned.journal, "note", full)
        else:
            patch.setattr(owned.confined, "put", full)
            patch.setattr(owned.confined, "replace", full)
        for name in ("a", "sub/b"):
            with pytest.raises(OSError, match="No space"):
                owned.replace(name, b"new")
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"
    for name in ("a", "sub/b"):
        opened().replace(name, b"new")


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "sub").mkdir()
    for name in (".diffc-0123456789abcdef.part", ".a.01234567.part", ".mirror.json.01234567.part"):
        (tmp_path / "sub" / name).write_bytes(b"mine")
    before = names(tmp_path)
    owned = opened()
    owned.replace("sub/a", b"whole")
    begun = owned.journal.temporary("sub/.diffc-fedcba9876543210.part")
    begun.__enter__()
    (tmp_path / "sub" / ".diffc-fedcba9876543210.part").write_bytes(b"ha")
    opened()
    assert names(tmp_path) == sorted([*before, "sub/a"])


def test_a_newer_one_takes_the_place(tmp_path: Path, opened: Open) -> None:
    owned = opened()
    owned.replace("old", b"old")
    owned.replace("new", b"newer")
    assert owned.settle("new", "old")
    assert owned.read("old") == b"newer"
    assert owned.prove("old") is Proof.OURS
    owned.replace("new", b"newest")
    (tmp_path / "old").write_bytes(b"mine")
    with pytest.raises(Occupied):
        owned.settle("new", "old")
    (tmp_path / "new").write_bytes(b"mine too")
    assert not owned.settle("new", "old")
    assert (tmp_path / "old").read_bytes() == b"mine"
    assert names(tmp_path) == ["new", "old"]


def test_where_a_newer_one_grows(tmp_path: Path, opened: Open) -> None:
    owned = opened()
    place = owned.places.claim("a")
    assert owned.beside(place) is None
    place.beside.write_bytes(b"mine")
    found = owned.beside(place, anew=True)
    assert found is not None
    assert found.endswith("-2.new")
    owned.replace(found, b"x")
    assert owned.beside(place) == found
    for number in range(2, 10):
        other = place.beside.with_name(f"{place.beside.stem}-{number}.new")
        other.write_bytes(b"mine")
    owned.remove(found)
    assert owned.beside(place, anew=True) is None


def test_after_the_end_nothing_is_written(tmp_path: Path, opened: Open) -> None:
    owned = opened()
    owned.close()
    for attempt in (lambda: owned.replace("a", b"x"), lambda: owned.create("b")):
        with pytest.raises(OSError, match="more"):
            attempt()
    assert names(tmp_path) == []
