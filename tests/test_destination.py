"""What a user named is written to: replaced if it is a file, and left what it is otherwise."""

from __future__ import annotations

import errno
import io
import os
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from diffc_stream import destination
from diffc_stream.destination import check, is_standard, opened, read_standard, writing
from diffc_stream.errors import DestinationError

posix = pytest.mark.skipif(os.name != "posix", reason="devices and pipes are those of POSIX")


@contextmanager
def reader(pipe: Path) -> Iterator[list[bytes]]:
    """Have somebody read a pipe to its end within the block."""
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    thread.start()
    try:
        yield got
    finally:
        thread.join()


def kind(path: Path) -> int:
    return stat.S_IFMT(path.lstat().st_mode)


@posix
def test_a_pipe_stays_one_and_its_reader_gets_all(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check(pipe)
    with reader(pipe) as got, writing(pipe) as file:
        file.write(b"new")
    assert got == [b"new"]
    assert kind(pipe) == stat.S_IFIFO
    assert list(tmp_path.iterdir()) == [pipe]


@posix
def test_a_device_stays_one(tmp_path: Path) -> None:
    # A terminal's other end is a device that anybody may make.
    master, slave = os.openpty()
    try:
        device = Path(os.ttyname(slave))
        link = tmp_path / "link"
        link.symlink_to(device)
        for path in (device, link):
            check(path)
            with writing(path) as file:
                file.write(b"new\n")
            assert os.read(master, 64) == b"new\r\n"
        assert kind(device) == stat.S_IFCHR
        assert link.is_symlink()
    finally:
        os.close(master)
        os.close(slave)


@posix
def test_a_device_node_of_ones_own_stays_one(tmp_path: Path) -> None:
    node = tmp_path / "null"
    try:
        os.mknod(node, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        with node.open("rb"):
            pass
    except OSError:
        pytest.skip("devices cannot be made here")
    with writing(node) as file:
        file.write(b"new")
    assert kind(node) == stat.S_IFCHR


@posix
def test_a_socket_stays_one_and_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # their names are short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        with pytest.raises(OSError, match="socket") as caught, writing(Path("socket")):
            pass
    assert caught.value.filename == "socket"
    assert kind(tmp_path / "socket") == stat.S_IFSOCK


def test_links_are_followed_to_what_is_there_or_not_yet(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "real").write_bytes(b"old")
    for name in ("real", "new"):
        (folder / f"to-{name}").symlink_to(name)
        link = tmp_path / name
        link.symlink_to(Path("folder") / f"to-{name}")
        check(link)
        with writing(link) as file:
            file.write(b"written")
        assert link.is_symlink()
        assert not (folder / name).is_symlink()
        assert (folder / name).read_bytes() == b"written"


def test_links_in_a_circle_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for tried in (check, lambda path: writing(path).__enter__()):
        with pytest.raises(OSError, match="a'") as caught:
            tried(tmp_path / "a")
        assert caught.value.errno == errno.ELOOP


def test_what_is_mounted_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(source: Path, target: Path) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(source), None, str(target))

    monkeypatch.setattr(os, "replace", busy)
    path = tmp_path / "mounted"
    path.write_bytes(b"something longer than what comes")
    inode = path.stat().st_ino
    with writing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_ino == inode
    with pytest.raises(ValueError, match="half-way"), writing(path):
        raise ValueError("half-way")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_a_folder_that_nobody_may_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"something longer than what comes")
    access = os.access
    monkeypatch.setattr(os, "access", lambda at, how: at != tmp_path and access(at, how))
    check(path)
    with pytest.raises(ValueError, match="half-way"), writing(path) as file:
        file.write(b"half")
        raise ValueError("half-way")
    assert path.read_bytes() == b"something longer than what comes"
    with writing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    with pytest.raises(PermissionError, match="nobody may write"):
        check(tmp_path / "new")


def test_errors_name_what_the_user_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link, nowhere = tmp_path / "link", tmp_path / "nowhere" / "file"
    link.symlink_to(nowhere)
    for path in (link, nowhere):
        with pytest.raises(FileNotFoundError) as caught, writing(path):
            pass
        assert caught.value.filename == str(path)
        assert ".part" not in str(caught.value)
        with pytest.raises(FileNotFoundError, match="there is no folder"):
            check(path)

    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(errno.EACCES, "no", str(source), None, str(target))

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError) as refused, writing(tmp_path / "file"):
        pass
    assert str(refused.value) == f"[Errno {errno.EACCES}] no: {str(tmp_path / 'file')!r}"
    with pytest.raises(OSError, match="file") as full, writing(tmp_path / "file"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert full.value.filename == str(tmp_path / "file")
    # What the block has to do with other files is theirs.
    with pytest.raises(FileNotFoundError) as other, writing(tmp_path / "file"):
        (tmp_path / "other").open("rb").close()
    assert other.value.filename == str(tmp_path / "other")
    assert sorted(tmp_path.iterdir()) == [link]


def test_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        check(tmp_path)
    with pytest.raises(OSError, match=tmp_path.name), writing(tmp_path):
        pass


@posix
def test_what_is_open_already_is_gone_on_with(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b", buffering=0) as file:
        file.write(b"before ")
        (tmp_path / "link").symlink_to(f"/dev/fd/{file.fileno()}")
        for path in (Path(f"/dev/fd/{file.fileno()}"), tmp_path / "link"):
            check(path)
            with writing(path) as again:
                again.write(b"written ")
        file.write(b"after")
        file.seek(0)
        assert file.read() == b"before written written after"


def test_standard_output(capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> None:
    assert is_standard(Path("-"))
    assert is_standard(Path("/dev/fd/1"))
    assert not is_standard(tmp_path / "-")
    check(Path("-"))
    with opened(Path("-")) as file:
        file.write(b"new")
    with opened(tmp_path / "-") as file:
        file.write(b"in a file")
    assert capsysbinary.readouterr().out == b"new"
    assert (tmp_path / "-").read_bytes() == b"in a file"


def test_terminals_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal(io.BytesIO()))
    monkeypatch.setattr(sys, "stdin", Terminal(io.BytesIO(b"never read")))
    with pytest.raises(DestinationError, match="terminal"):
        check(Path("-"))
    with pytest.raises(DestinationError, match="terminal"):
        read_standard(10)


def test_what_is_closed_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DestinationError, match="standard output is closed"):
        check(Path("-"))
    with pytest.raises(DestinationError, match="standard output is closed"), opened(Path("-")):
        pass
    with pytest.raises(DestinationError, match="standard input is closed"):
        read_standard(10)


def test_standard_input_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"0123456789")))
    assert read_standard(4) == b"0123"


def test_a_reader_that_has_gone_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, pipe = os.pipe()
    os.close(reading)
    with os.fdopen(pipe, "wb") as file:
        monkeypatch.setattr(destination, "_STANDARD_OUTPUT", pipe)
        out = io.TextIOWrapper(file)
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(BrokenPipeError) as caught, opened(Path("-")) as standard:
            standard.write(b"new")
        assert caught.value.filename == "standard output"
        monkeypatch.undo()
        out.detach()
