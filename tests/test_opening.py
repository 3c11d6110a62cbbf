"""What somebody swaps meanwhile is not followed, and nothing waits for a pipe."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from diffc_stream.errors import UnreadablePicture
from diffc_stream.opening import Identity, is_exhausted, is_passing, open_regular, open_resolved

pytestmark = pytest.mark.skipif(os.name == "nt", reason="links and pipes of POSIX")


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_bytes(b"inside")
    (tmp_path / "link").symlink_to(tmp_path / "sub" / "file")
    (tmp_path / "folder").symlink_to(tmp_path / "sub")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


@pytest.fixture(params=[True, False], ids=["descending", "comparing"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of opening: folder by folder, and where folders cannot be opened."""
    if not request.param:
        monkeypatch.setattr(os, "supports_dir_fd", set())


@pytest.mark.usefixtures("way")
def test_a_file_is_opened_and_known(home: Path) -> None:
    path = home / "sub" / "file"
    with open_resolved(path) as file:
        assert file.read() == b"inside"
        assert file.name == str(path)
        assert Identity.opened(file) == Identity.at(path)
        assert Identity.opened(file).size == 6


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", ["link", "folder/file", "pipe", "sub", "nothing", "sub/file/x"])
def test_links_and_what_is_no_file_are_not_opened(home: Path, name: str) -> None:
    before = descriptors()
    with pytest.raises(OSError, match=r"Errno"):
        open_resolved(home / name)
    assert descriptors() == before


def test_links_may_lead_to_a_folder_that_is_named_by_its_owner(home: Path) -> None:
    with open_regular(home / "folder" / "file") as file:
        assert file.read() == b"inside"
    for name in ("link", "pipe", "sub"):
        with pytest.raises(OSError, match=name):
            open_regular(home / name)


def test_a_folder_that_may_not_be_listed_leads_on(home: Path) -> None:
    (home / "sub").chmod(0o311)
    try:
        open_resolved(home / "sub" / "file").close()
    finally:
        (home / "sub").chmod(0o755)


def test_only_files_have_an_identity(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("link", "pipe", "sub", "nothing"):
        assert Identity.at(home / name) is None

    def failing(_: Path) -> os.stat_result:
        raise OSError(errno.EIO, "a bad disk")

    monkeypatch.setattr(Path, "lstat", failing)
    with pytest.raises(OSError, match="a bad disk"):
        Identity.at(home / "link")


def test_nothing_stays_open_when_there_is_no_room(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last descriptor may be missing at each of the steps."""
    real, before = os.open, descriptors()
    for allowed in range(len((home / "sub" / "file").parts)):
        left = [allowed]

        def scarce(
            path: str, flags: int, *, dir_fd: int | None = None, left: list[int] = left
        ) -> int:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.EMFILE, "too many open files")
            return real(path, flags, dir_fd=dir_fd)

        with monkeypatch.context() as patch:
            patch.setattr(os, "supports_dir_fd", {scarce})
            patch.setattr(os, "open", scarce)
            with pytest.raises(OSError, match="too many"):
                open_resolved(home / "sub" / "file")
        assert descriptors() == before


@pytest.mark.parametrize(
    ("error", "passing", "exhausted"),
    [
        (OSError(errno.EMFILE, "x"), True, True),
        (OSError(errno.ENFILE, "x"), True, True),
        (OSError(errno.EIO, "x"), True, False),
        (OSError(errno.ENOSPC, "x"), True, False),
        (OSError(errno.ENOENT, "x"), False, False),
        (OSError(errno.EACCES, "x"), False, False),
        (OSError("truncated"), False, False),
        (MemoryError(), True, True),
        (RuntimeError("can't start new thread"), True, True),
        (RuntimeError("another"), False, False),
        (None, False, False),
    ],
)
def test_what_passes(error: Exception | None, passing: bool, exhausted: bool) -> None:
    assert (is_passing(error), is_exhausted(error)) == (passing, exhausted)
    if error is not None:
        told = UnreadablePicture("x")
        told.__cause__ = error
        assert is_passing(told) == passing
