"""The part of a stream that is here already."""

from __future__ import annotations

import errno
import os
from io import FileIO
from pathlib import Path

import pytest

from diffc_client import FileStream, Kept, MemoryStream
from diffc_stream.container import Header, StreamWriter
from diffc_stream.container.grammar import MOST_HEADER
from diffc_stream.errors import NotAStream
from diffc_stream.session import PrefixHash


def test_memory() -> None:
    kept: Kept = MemoryStream()
    kept.append(b"abc")
    kept.append(b"def")
    assert (kept.length, kept.read()) == (6, b"abcdef")
    assert kept.prefix == str(PrefixHash(b"abcdef"))


def test_a_file_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "a.dfc"
    with FileStream(path) as kept:
        kept.append(b"abc")
        assert path.read_bytes() == b"abc"  # at once, not when it is closed
    with FileStream(path) as kept:
        assert (kept.length, kept.prefix) == (3, str(PrefixHash(b"abc")))
        kept.append(b"def")
        assert kept.read() == b"abcdef"
        kept.append(b"ghi")
    assert path.read_bytes() == b"abcdefghi"


def test_what_is_held_names_its_model(tmp_path: Path) -> None:
    data = StreamWriter().header(Header(model="0a1b2c3d", width=700, height=500, seed=2**32 - 1))
    assert len(data) < MOST_HEADER
    with FileStream(tmp_path / "a.dfc") as file:
        holders: tuple[Kept, ...] = (file, MemoryStream())
        for kept in holders:
            headers = [kept.header]
            for piece in (data[:-1], data[-1:], b"more" * 100):
                kept.append(piece)
                headers.append(kept.header)
            named = [header.model if header else None for header in headers]
            assert named == [None, None, "0a1b2c3d", "0a1b2c3d"]
            assert (kept.length, kept.read()) == (len(data) + 400, data + b"more" * 100)
    foreign = MemoryStream()
    foreign.append(b"something else, and long enough")
    assert foreign.header is None


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.dfc"
    with FileStream(path) as kept:
        kept.append(b"abc")
        with pytest.raises(OSError, match="another process is writing to it"):
            FileStream(path)
    with FileStream(path) as kept:
        assert kept.read() == b"abc"


def test_starting_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.dfc"
    with FileStream(path) as kept:
        kept.append(b"abc")
        kept.restart()
        assert (kept.length, kept.prefix, kept.read()) == (0, None, b"")
        kept.append(b"def")
    assert path.read_bytes() == b"def"


def test_a_file_without_a_byte_is_not_left(tmp_path: Path) -> None:
    with FileStream(tmp_path / "a.dfc"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.dfc"
    with path.open("wb") as file:
        file.truncate(2**26 + 1)
    with pytest.raises(NotAStream, match="too many"):
        FileStream(path)
    assert path.exists()


def test_a_file_without_a_byte_is_not_left_where_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    kept = FileStream(tmp_path / "stream")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        kept.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_full_disk_takes_of_it_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(FileIO):
        def write(self, data: object) -> int:
            assert isinstance(data, memoryview)
            if len(data) > 2:
                return super().write(data[:2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "stream"
    with FileStream(path) as kept:
        kept.append(b"abc")
        with monkeypatch.context() as patch:
            patch.setattr(kept, "_file", Full(path, "a+"))
            with pytest.raises(OSError, match="No space") as caught:
                kept.append(b"defg")
            assert caught.value.filename == str(path)
            kept._file.close()
        assert path.read_bytes() == b"abc"
        kept.append(b"def")
    assert path.read_bytes() == b"abcdef"


def test_an_empty_file_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"")
    with FileStream(tmp_path / "mine"):
        pass
    assert (tmp_path / "mine").exists()
