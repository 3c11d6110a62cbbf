"""Where output goes that a user named: a file, a device, a pipe, or standard output.

A file is replaced wholly, where its links lead.  What is no file is written to and stays what it
is, as a terminal or a pipe would be lost to whoever else has it; so is a file that a mount or its
folder keeps from being replaced.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

from diffc_stream.errors import DestinationError
from diffc_stream.replacement import replacing

STANDARD = Path("-")
"""What standard input and output are called by."""

_LINKS = 40
"""Links in a row that are followed, which is as many as Linux does."""
_DESCRIPTORS = re.compile(r"/proc/(?:self|[0-9]+)(?:/task/[0-9]+)?/fd|/dev/fd")
"""Folders of what processes have open: links there lead to files that may have no name."""
_STANDARD_OUTPUT = 1
_NAMELESS = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE))
"""Errors of writing, which the system tells without a name."""


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Open what ``path`` names for writing: a new or a regular file, which is replaced when the
    block ends well, or what is neither, which is written to at once.

    A file that cannot be replaced, since something is mounted there or nobody may change its
    folder, is written to when the block ends well.  Raises OSError, which names ``path``.
    """
    inner: Path | None = None
    try:
        inner = _followed(path)
        with _opened(inner) as file:
            yield file
    except OSError as error:
        ours = inner is not None and error.filename in (str(inner), inner)
        if ours or (error.filename is None and error.errno in _NAMELESS):
            error.filename = str(path)
            del error.filename2
        raise


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open what an argument names for writing: as :func:`writing`, or ``-``, standard output.

    Raises OSError.
    """
    if path != STANDARD:
        with writing(path) as file:
            yield file
        return
    try:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        # The interpreter would try again at its end.
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), _STANDARD_OUTPUT)
        error.filename = "standard output"
        raise


def check(path: Path) -> None:
    """Raise what opening ``path`` would, as far as it can be told, before anything takes long.

    Raises DestinationError, or OSError, which names ``path``.
    """
    if path == STANDARD:
        if sys.stdout.isatty():
            raise DestinationError("this is not for a terminal to show: name a file, or a pipe")
        return
    try:
        found = _followed(path).stat()
    except FileNotFoundError:
        _check_folder(path)
        return
    except OSError as error:
        error.filename = str(path)
        raise
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    folder = _followed(path).parent
    if not os.access(path, os.W_OK) and not (
        stat.S_ISREG(found.st_mode) and os.access(folder, os.W_OK | os.X_OK)
    ):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def is_standard(path: Path) -> bool:
    """Tell whether ``path`` stands for standard output, where then nothing else should go."""
    return path == STANDARD or _descriptor(_followed(path)) == _STANDARD_OUTPUT


def read_standard(most: int) -> bytes:
    """Return what comes on standard input, ``most`` bytes of it at most.

    Raises DestinationError on a terminal, where nobody could type it; OSError.
    """
    if sys.stdin.isatty():
        raise DestinationError("nobody can type this at a terminal: name a file, or a pipe")
    return sys.stdin.buffer.read(most)


def _check_folder(path: Path) -> None:
    folder = _followed(path).parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no folder {folder}", str(path))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "nobody may write to its folder", str(path))


def _followed(path: Path) -> Path:
    """Return where links at ``path`` lead, there or not; no further than what is open already."""
    for _ in range(_LINKS):
        if _descriptor(path) is not None or not path.is_symlink():
            return path
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def _descriptor(path: Path) -> int | None:
    """Return the number that something is open by, if that is what ``path`` names."""
    if not path.name.isdecimal() or not _DESCRIPTORS.fullmatch(str(path.parent)):
        return None
    return int(path.name)


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    number = _descriptor(path)
    if number is not None and path.parent in (Path("/dev/fd"), Path("/proc/self/fd")):
        return os.fdopen(os.dup(number), "wb")  # and on from where it is
    try:
        found = path.stat()
    except FileNotFoundError:
        return replacing(path)
    if number is not None or not stat.S_ISREG(found.st_mode):
        return _at_once(path)
    if not os.access(path.parent, os.W_OK | os.X_OK) and os.access(path, os.W_OK):
        return _afterwards(path)
    return replacing(path)


def _at_once(path: Path) -> BinaryIO:
    # Neither made nor emptied: there is no file to do that with.
    return os.fdopen(os.open(path, os.O_WRONLY | getattr(os, "O_NOCTTY", 0)), "wb")


@contextmanager
def _afterwards(path: Path) -> Iterator[BinaryIO]:
    """Collect what is written elsewhere, and write it to the file when it is whole."""
    with tempfile.TemporaryFile() as collected:
        yield collected
        collected.seek(0)
        with path.open("wb") as file:
            shutil.copyfileobj(collected, file)
