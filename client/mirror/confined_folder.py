"""Opens files below one folder without ever following a symbolic link.

Paths are relative, with ``/`` between folders on every system.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BY_FOLDER = {os.open, os.stat, os.unlink, os.mkdir, os.rmdir, os.rename, os.link}
_SAFE = os.supports_dir_fd >= _BY_FOLDER
"""Whether the system opens files relative to an open folder: then no folder on the way can be
replaced by a link meanwhile."""
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)
_FILE = _NO_LINK | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Flags with which opening neither follows a link nor blocks on a pipe."""


class ConfinedFolder:
    """A folder and the files below it; all methods raise OSError."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self, relative: str, flags: int) -> int:
        """Return a descriptor of a file."""
        with self._at(relative) as (folder, name):
            return os.open(name, flags | _FILE, 0o666, dir_fd=folder)

    def stat(self, relative: str) -> os.stat_result:
        """Return the status of a file, or of a link itself."""
        with self._at(relative) as (folder, name):
            return os.stat(name, dir_fd=folder, follow_symlinks=False)

    def exists(self, relative: str) -> bool:
        """Tell whether anything has that name, also a broken link."""
        try:
            self.stat(relative)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def unlink(self, relative: str) -> None:
        """Delete a file."""
        with self._at(relative) as (folder, name):
            os.unlink(name, dir_fd=folder)

    def touch(self, relative: str, time: int) -> None:
        """Set a file's modification time, in nanoseconds since 1970."""
        with self._at(relative) as (folder, name):
            if folder is None:
                os.utime(name, ns=(time, time))
            else:
                os.utime(name, ns=(time, time), dir_fd=folder, follow_symlinks=False)

    def mkdir(self, relative: str) -> int:
        """Create a folder, and return its inode number."""
        with self._at(relative) as (folder, name):
            os.mkdir(name, dir_fd=folder)
            return os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino

    def rmdir(self, relative: str) -> None:
        """Delete an empty folder."""
        with self._at(relative) as (folder, name):
            os.rmdir(name, dir_fd=folder)

    def replace(self, relative: str, other: str) -> None:
        """Rename a file over another in the same folder."""
        with self._at(relative) as (folder, name):
            there = self._beside(folder, other)
            os.replace(name, there, src_dir_fd=folder, dst_dir_fd=folder)

    def put(self, relative: str, other: str) -> None:
        """Rename a file within its folder; raises FileExistsError if the new name is taken."""
        with self._at(relative) as (folder, name):
            there = self._beside(folder, other)
            try:
                os.link(name, there, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            except FileExistsError:
                raise
            except OSError as error:
                # The file system may not have hard links.
                if self.exists(other):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
                os.rename(name, there, src_dir_fd=folder, dst_dir_fd=folder)
            else:
                os.unlink(name, dir_fd=folder)

    def _beside(self, folder: int | None, relative: str) -> str:
        return str(self.root / relative) if folder is None else relative.rpartition("/")[2]

    @contextmanager
    def _at(self, relative: str) -> Iterator[tuple[int | None, str]]:
        """Open the parent folder; on systems that cannot, check for links on the way instead."""
        *folders, name = parts = relative.split("/")
        if not all(part not in ("", ".", "..") for part in parts):
            raise OSError(errno.EINVAL, f"{relative!r} is not below a folder")
        if not _SAFE:
            for count in range(1, len(parts) + 1):
                if self.root.joinpath(*parts[:count]).is_symlink():
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), relative)
            yield None, str(self.root / relative)
            return
        held = os.open(self.root, _FOLDER)
        try:
            for folder in folders:
                inner = os.open(folder, _FOLDER | _NO_LINK, dir_fd=held)
                os.close(held)
                held = inner
            yield held, name
        finally:
            os.close(held)


def is_file(status: os.stat_result) -> bool:
    """Tell whether something is a plain file."""
    return stat.S_ISREG(status.st_mode)
