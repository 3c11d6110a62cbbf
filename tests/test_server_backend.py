"""Objects in a folder: whole or not at all, whoever is killed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from diffc_server.cache.backend import SUFFIX, Backend, FolderBackend

NAME = "0" * 64 + SUFFIX
OTHER = "1" * 64 + SUFFIX


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "store"


def test_what_is_written_is_read(folder: Path) -> None:
    backend: Backend = FolderBackend(folder)
    assert backend.read(NAME) is None
    assert backend.entries() == []
    for data in (b"short", b"something longer", b""):
        backend.write(NAME, data)
        assert backend.read(NAME) == data
    backend.write(OTHER, b"other")
    assert {entry.name: entry.size for entry in backend.entries()} == {NAME: 0, OTHER: 5}
    backend.remove(NAME)
    backend.remove(NAME)
    assert backend.read(NAME) is None
    assert backend.where == str(folder)


def test_touching_is_using(folder: Path) -> None:
    backend = FolderBackend(folder)
    backend.write(NAME, b"")
    os.utime(folder / NAME, (1.0, 1.0))
    [entry] = backend.entries()
    assert entry.used == 1.0
    backend.touch(NAME)
    [entry] = backend.entries()
    assert entry.used > 1.0
    backend.touch(OTHER)  # gone: nobody's loss


def test_what_is_torn_is_swept_and_nothing_else(folder: Path) -> None:
    backend = FolderBackend(folder)
    backend.write(NAME, b"whole")
    torn = folder / f".{NAME}.01234567.part"
    torn.write_bytes(b"wh")
    others = [folder / name for name in ("notes.txt", ".other.01234567.part", f"{NAME[:-1]}")]
    for other in others:
        other.write_bytes(b"mine")
    assert [entry.name for entry in backend.entries()] == [NAME]
    assert not torn.exists()
    assert all(other.exists() for other in others)


def test_a_folder_that_has_gone_is_not_made_again(folder: Path) -> None:
    backend = FolderBackend(folder)
    backend.write(NAME, b"whole")
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(FileNotFoundError):
        backend.read(NAME)
    with pytest.raises(FileNotFoundError):
        backend.write(NAME, b"new")
    with pytest.raises(FileNotFoundError), backend.locked():
        pytest.fail("there is nothing to lock")
    with pytest.raises(FileNotFoundError):
        backend.entries()
    folder.with_name("elsewhere").rename(folder)
    assert backend.read(NAME) == b"whole"


def test_a_write_that_fails_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = FolderBackend(folder)
    backend.write(NAME, b"old")

    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space left"):
        backend.write(NAME, b"new")
    assert backend.read(NAME) == b"old"
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_one_writer_at_a_time_and_no_longer_than_it_is_patient(folder: Path) -> None:
    backend, other = FolderBackend(folder), FolderBackend(folder, patience=0.0)
    with backend.locked():
        backend.write(NAME, b"")  # the lock is not on the file
        with pytest.raises(TimeoutError, match="another process"), other.locked():
            pytest.fail("it is locked")
        assert other.read(NAME) == b""
    with other.locked():
        pass


def test_a_lock_that_was_deleted_is_no_lock(folder: Path) -> None:
    backend = FolderBackend(folder)
    with backend.locked():
        (folder / ".lock").unlink()
        with FolderBackend(folder, patience=0.0).locked():
            (folder / ".lock").unlink()
    with backend.locked():
        pass


def test_writers_wait_for_each_other(folder: Path) -> None:
    backend, inside, most = FolderBackend(folder, patience=60.0), [0], [0]

    def write() -> None:
        for _ in range(20):
            with backend.locked():
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                backend.write(NAME, b"")
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
        "from diffc_server.cache.backend import FolderBackend\n"
        "with FolderBackend(Path(sys.argv[1])).locked():\n"
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
        backend = FolderBackend(folder, patience=0.0)
        with pytest.raises(TimeoutError), backend.locked():
            pytest.fail("it is locked")
        process.kill()
        process.wait()
        with backend.locked():
            pass
