"""Objects in a folder: whole or not at all, whoever is killed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from diffc_server.cache.backend import SUFFIX, FolderShelf, Shelf

NAME = "0" * 64 + SUFFIX
OTHER = "1" * 64 + SUFFIX


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "store"


def test_what_is_written_is_read(folder: Path) -> None:
    shelf: Shelf = FolderShelf(folder)
    assert shelf.read(NAME) is None
    assert shelf.entries() == []
    for data in (b"short", b"something longer", b""):
        shelf.write(NAME, data)
        assert shelf.read(NAME) == data
    shelf.write(OTHER, b"other")
    assert {entry.name: entry.size for entry in shelf.entries()} == {NAME: 0, OTHER: 5}
    shelf.remove(NAME)
    shelf.remove(NAME)
    assert shelf.read(NAME) is None
    assert shelf.where == str(folder)


def test_touching_is_using(folder: Path) -> None:
    shelf = FolderShelf(folder)
    shelf.write(NAME, b"")
    os.utime(folder / NAME, (1.0, 1.0))
    [entry] = shelf.entries()
    assert entry.used == 1.0
    shelf.touch(NAME)
    [entry] = shelf.entries()
    assert entry.used > 1.0
    shelf.touch(OTHER)  # gone: nobody's loss


def test_what_is_torn_is_swept_and_nothing_else(folder: Path) -> None:
    shelf = FolderShelf(folder)
    shelf.write(NAME, b"whole")
    torn = folder / f".{NAME}.01234567.part"
    torn.write_bytes(b"wh")
    others = [folder / name for name in ("notes.txt", ".other.01234567.part", f"{NAME[:-1]}")]
    for other in others:
        other.write_bytes(b"mine")
    assert [entry.name for entry in shelf.entries()] == [NAME]
    assert not torn.exists()
    assert all(other.exists() for other in others)


def test_a_folder_that_has_gone_is_not_made_again(folder: Path) -> None:
    shelf = FolderShelf(folder)
    shelf.write(NAME, b"whole")
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(FileNotFoundError):
        shelf.read(NAME)
    with pytest.raises(FileNotFoundError):
        shelf.write(NAME, b"new")
    with pytest.raises(FileNotFoundError), shelf.locked():
        pytest.fail("there is nothing to lock")
    with pytest.raises(FileNotFoundError):
        shelf.entries()
    folder.with_name("elsewhere").rename(folder)
    assert shelf.read(NAME) == b"whole"


def test_a_write_that_fails_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = FolderShelf(folder)
    shelf.write(NAME, b"old")

    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space left"):
        shelf.write(NAME, b"new")
    assert shelf.read(NAME) == b"old"
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_one_writer_at_a_time_and_no_longer_than_it_is_patient(folder: Path) -> None:
    shelf, other = FolderShelf(folder), FolderShelf(folder, patience=0.0)
    with shelf.locked():
        shelf.write(NAME, b"")  # the lock is not on the file
        with pytest.raises(TimeoutError, match="another process"), other.locked():
            pytest.fail("it is locked")
        assert other.read(NAME) == b""
    with other.locked():
        pass


def test_a_lock_that_was_deleted_is_no_lock(folder: Path) -> None:
    shelf = FolderShelf(folder)
    with shelf.locked():
        (folder / ".lock").unlink()
        with FolderShelf(folder, patience=0.0).locked():
            (folder / ".lock").unlink()
    with shelf.locked():
        pass


def test_writers_wait_for_each_other(folder: Path) -> None:
    shelf, inside, most = FolderShelf(folder, patience=60.0), [0], [0]

    def write() -> None:
        for _ in range(20):
            with shelf.locked():
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                shelf.write(NAME, b"")
                inside[0] -= 1

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_the_lock_of_a_process_that_is_killed_is_gone(folder: Path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from diffc_server.cache.backend import FolderShelf\n"
        "with FolderShelf(Path(sys.argv[1])).locked():\n"
        "    print('locked', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        shelf = FolderShelf(folder, patience=0.0)
        with pytest.raises(TimeoutError), shelf.locked():
            pytest.fail("it is locked")
        process.kill()
        process.wait()
        with shelf.locked():
            pass
