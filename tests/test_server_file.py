"""A file that is served is opened as it was when it was asked for, or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from diffc_server.catalogue.file import File, try_later, unreadable
from diffc_stream.errors import RequestRefused
from diffc_stream.session import Code

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links and pipes of POSIX")


@pytest.fixture
def file(tmp_path: Path) -> File:
    path = tmp_path / "a.dfc"
    path.write_bytes(b"ours")
    return File.at(path)


def test_it_is_opened(file: File) -> None:
    with file.open() as opened:
        assert opened.read() == b"ours"


def test_another_in_its_place_is_not(file: File) -> None:
    other = file.path.with_name("other")
    other.write_bytes(b"ours")
    other.replace(file.path)
    with pytest.raises(RequestRefused, match="being replaced") as caught:
        file.open()
    assert (caught.value.code, caught.value.retry) == (Code.BUSY, True)


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_swapped_in_is_not(file: File, kind: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"a key")
    file.path.unlink()
    if kind == "link":
        file.path.symlink_to(tmp_path / "secret")
    elif kind == "folder":
        file.path.mkdir()
    else:
        os.mkfifo(file.path)
    with pytest.raises(OSError, match="Errno"):
        file.open()
    with pytest.raises(RequestRefused, match="no such picture"):
        File.at(file.path)


def test_a_folder_on_the_way_is_not_followed_elsewhere(tmp_path: Path) -> None:
    for name in ("served/sub", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.dfc").write_bytes(b"some")
    file = File.at(tmp_path / "served" / "sub" / "a.dfc")
    (tmp_path / "served" / "sub").rename(tmp_path / "served" / "before")
    (tmp_path / "served" / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="Errno"):
        file.open()


def test_a_disk_that_does_not_answer_says_nothing_of_the_picture(
    file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: Path) -> os.stat_result:
        raise OSError(errno.EIO, "a bad disk")

    monkeypatch.setattr(Path, "lstat", failing)
    with pytest.raises(RequestRefused, match="at the moment") as caught:
        File.at(file.path)
    assert (caught.value.code, caught.value.retry) == (Code.BUSY, True)
    assert caught.value.after


@pytest.mark.parametrize(
    ("number", "code"),
    [
        *((errno.EMFILE, Code.BUSY), (errno.EIO, Code.BUSY), (errno.ENOMEM, Code.BUSY)),
        *((errno.EACCES, Code.UNREADABLE_IMAGE), (errno.ELOOP, Code.UNREADABLE_IMAGE)),
    ],
)
def test_refusals(number: int, code: str) -> None:
    refusal = unreadable(OSError(number, "why"))
    assert (refusal.code, refusal.retry) == (code, code == Code.BUSY)
    assert try_later().after == (refusal.after or try_later().after)
