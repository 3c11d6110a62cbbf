"""Open files that somebody else may swap meanwhile, and know what it was that was opened.

Between looking at a name and opening it, another file may take its place: a link to one that is
nobody's business, or a pipe that never answers.  So nothing is followed while opening, nothing is
waited for, and what counts is what the descriptor says.
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
"""Errors behind an error that are looked at."""


def _flags(*names: str) -> int:
    """Return those of the flags that this system has."""
    return sum(getattr(os, name, 0) for name in names)


# Where a folder need not be readable to lead on.
_FOLDER = _flags("O_PATH" if hasattr(os, "O_PATH") else "O_RDONLY", "O_DIRECTORY", "O_NOFOLLOW")
_SAFELY = _flags("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY")


class Identity(NamedTuple):
    """What changes when a file is replaced or written to."""

    device: int
    inode: int
    size: int
    """In bytes."""
    time: int
    """When it was changed last, in nanoseconds since 1970, as far as its owner says."""
    changed: int
    """When the system itself has seen it change last, its name and rights included."""

    @classmethod
    def of(cls, found: os.stat_result) -> Identity:
        """Return the identity that a look at a file has found."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    @classmethod
    def at(cls, path: Path) -> Identity | None:
        """Return that of the regular file at ``path``; None if there is none, but a link perhaps.

        Raises OSError if that cannot be told at the moment.
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
        """Return that of an open file.  Raises OSError."""
        return cls.of(os.fstat(file.fileno()))


def open_resolved(path: Path) -> BufferedReader:
    """Open a regular file for reading by a path that has been resolved: no link leads on from it.

    If there is a link anywhere in it, it was put there meanwhile.  Never waits for a pipe or a
    device.  Raises OSError.
    """
    return _regular(path.absolute(), _descended)


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading; links may lead to its folder, but it is none itself.

    Never waits for a pipe or a device.  Raises OSError.
    """
    return _regular(path, lambda path, flags: os.open(path, flags | _SAFELY))


def is_exhausted(error: BaseException | None) -> bool:
    """Tell whether this process or the system ran out of descriptors, memory or threads."""
    return _is(error, _EXHAUSTED)


def is_passing(error: BaseException | None) -> bool:
    """Tell whether an error, or one that it came from, says nothing about the file itself.

    Another time it may be read: what ran out comes back, a disk answers again.
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
    """Open a file, folder by folder; two descriptors at a time."""
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
    """Open a file where folders cannot be opened, if it is still where it was."""
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
