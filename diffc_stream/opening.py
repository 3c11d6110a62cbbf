"""Open files safely in folders that other programs may change, and identify what was opened.

Between the check of a name and its opening, another file may take its place: a link to a secret, or
a pipe that never answers.  So opening follows no links and never waits, and all checks are made on
the open file.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, NamedTuple

_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS))
_PASSING = _EXHAUSTED | {
    *(errno.EIO, errno.EINTR, errno.EBUSY, errno.ETIMEDOUT, errno.ENOSPC),
    *(getattr(errno, name, errno.EIO) for name in ("ESTALE", "EDQUOT")),
}
_CAUSES = 8
"""Causes of an error, and causes of those, that are looked at."""


def _flags(*names: str) -> int:
    """Return the flags of these names that this system has, combined."""
    return sum(getattr(os, name, 0) for name in names)


# With O_PATH, a folder need not be readable to open what is in it.
_FOLDER = _flags("O_PATH" if hasattr(os, "O_PATH") else "O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW")
_SAFELY = _flags("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY")


class Identity(NamedTuple):
    """What identifies a version of a file: it changes when the file is replaced or written to."""

    device: int
    inode: int
    size: int
    """Size in bytes."""
    time: int
    """Time of the last change, in nanoseconds since 1970.  Its owner can set this."""
    changed: int
    """Time at which the system last saw the file, its name or its rights change."""

    @classmethod
    def of(cls, found: os.stat_result) -> Identity:
        """Return the identity from the result of ``stat``."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    @classmethod
    def at(cls, path: Path) -> Identity | None:
        """Return the identity of the regular file at ``path``; None if there is none (or a link).

        Raises OSError if that cannot be known at the moment.
        """
        try:
            found = path.lstat()
        except OSError as error:
            if is_passing(error):
                raise
            return None
        return cls.of(found) if stat.S_ISREG(found.st_mode) else None

    @classmethod
    def opened(cls, file: BinaryIO) -> Identity:
        """Return the identity of an open file.  Raises OSError."""
        return cls.of(os.fstat(file.fileno()))


def open_resolved(path: Path) -> BufferedReader:
    """Open a regular file for reading by a resolved path, which must not contain links.

    A link in it was put there since the path was resolved, and is an error.  Never waits for a pipe
    or a device.  Raises OSError.
    """
    return _regular(path.absolute(), _descended)


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading.  Its folder may be a link, but the file itself must not.

    Never waits for a pipe or a device.  Raises OSError.
    """
    return _regular(path, lambda path, flags: os.open(path, flags | _SAFELY))


def is_exhausted(error: BaseException | None) -> bool:
    """Return whether this process or the system ran out of descriptors, memory or threads."""
    return _is(error, _EXHAUSTED)


def is_passing(error: BaseException | None) -> bool:
    """Return whether an error, or one of its causes, is temporary and not due to the file itself.

    Reading the file may succeed later, when resources are available or the disk answers again.
    """
    return _is(error, _PASSING)


def _is(error: BaseException | None, numbers: frozenset[int]) -> bool:
    for _ in range(_CAUSES):
        if error is None:
            return False
        if isinstance(error, MemoryError) or "can't start new thread" in str(error):
            return True
        if isinstance(error, OSError) and error.errno in numbers:
            return True
        error = error.__cause__
    return False


def _regular(path: Path, opener: Callable[[str, int], int]) -> BufferedReader:
    file = open(path, "rb", opener=opener)  # noqa: SIM115 (only so can it be told how)
    try:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
    except BaseException:
        file.close()
        raise
    return file


def _descended(path: str, flags: int) -> int:
    """Open a file by opening one folder after the other, with at most two descriptors at a time."""
    if os.open not in os.supports_dir_fd:
        return _compared(path, flags)
    first, *folders, name = Path(path).parts
    at = os.open(first, _FOLDER)
    try:
        for folder in folders:
            below = os.open(folder, _FOLDER, dir_fd=at)
            os.close(at)
            at = below
        return os.open(name, flags | _SAFELY, dir_fd=at)
    finally:
        os.close(at)


def _compared(path: str, flags: int) -> int:
    """Open a file on systems where folders cannot be opened; check that it is still in place."""
    descriptor = os.open(path, flags | _SAFELY)
    try:
        if Path(path).resolve(strict=True) != Path(path):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if not os.path.samestat(os.fstat(descriptor), os.lstat(path)):
            raise OSError(errno.ENOENT, "it has just been replaced", path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
