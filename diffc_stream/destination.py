"""Write output where the user wants it: to a file, a device, a pipe, or standard output.

Links are followed.  A regular file is replaced as a whole.  A device or a pipe is written to and
stays what it is, because replacing it would take it away from other programs.  A file that cannot
be replaced, because something is mounted on it or its folder is read-only, is also written to.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

from diffc_stream.errors import DestinationError
from diffc_stream.replacement import replacing

STANDARD = Path("-")
"""The argument that stands for standard input or output."""

_LINKS = 40
"""Most links in a row that are followed: as many as on Linux."""
_DESCRIPTORS = re.compile(r"/proc/(?:self|[0-9]+)(?:/task/[0-9]+)?/fd|/dev/fd")
"""Folders of the files that processes have open; links in them may lead to files without a name."""
_STANDARD_OUTPUT = 1
_NAMELESS = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE))
"""Errors while writing that the system reports without the file's name."""


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Open ``path`` for writing.

    A new or a regular file is replaced when the block ends without an error.  If it cannot be
    replaced, because something is mounted on it or its folder is read-only, it is written to at
    that moment instead.  A device or a pipe is written to immediately.  Raises OSError, which names
    ``path``.
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
    """Open the destination that an argument names: ``-`` is standard output, else :func:`writing`.

    Raises OSError, or DestinationError if standard output is closed.
    """
    if path != STANDARD:
        with writing(path) as file:
            yield file
        return
    try:
        yield (out := standard_output())
        out.flush()
    except BrokenPipeError as error:
        # Otherwise the interpreter would try to write the rest when it ends.
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), _STANDARD_OUTPUT)
        error.filename = "standard output"
        raise


def check(path: Path) -> None:
    """Check before long work that ``path`` can be written to, as far as that can be known.

    Raises DestinationError, or OSError, which names ``path``.
    """
    if path == STANDARD:
        standard_output()  # raises if it is closed
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


def spare(path: Path, needed: Iterable[Path]) -> None:
    """Check that output to ``path`` would replace none of the files ``needed``.

    Raises DestinationError, or OSError.
    """
    for other in needed:
        if STANDARD not in (path, other) and same(path, other):
            raise DestinationError(f"{path} is needed, and cannot be the output: name another file")


def same(one: Path, other: Path) -> bool:
    """Return whether two paths are of the same file, which need not be there yet.

    Devices and pipes are no files: what is read from one and written to it may differ.  Raises
    OSError.
    """
    if one.exists() and other.exists():
        return one.is_file() and one.samefile(other)
    return one.resolve() == other.resolve()


def is_standard(path: Path) -> bool:
    """Return whether ``path`` is standard output, to which nothing else should be written then."""
    return path == STANDARD or _descriptor(_followed(path)) == _STANDARD_OUTPUT


def read_standard(most: int) -> bytes:
    """Return the contents of standard input, at most ``most`` bytes.

    Raises DestinationError on a terminal, because streams cannot be typed, and if it is closed;
    raises OSError.
    """
    contents = standard_input()
    if sys.stdin.isatty():
        raise DestinationError("nobody can type this at a terminal: name a file, or a pipe")
    return contents.read(most)


def standard_input() -> BinaryIO:
    """Return standard input, for bytes.

    Raises DestinationError if it is closed, as some supervisors do.
    """
    if sys.stdin is None:
        raise DestinationError("standard input is closed")
    return sys.stdin.buffer


def standard_output() -> BinaryIO:
    """Return standard output, for bytes.

    Raises DestinationError if it is closed, as some supervisors do.
    """
    if sys.stdout is None:
        raise DestinationError("standard output is closed")
    return sys.stdout.buffer


def _check_folder(path: Path) -> None:
    folder = _followed(path).parent
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no folder {folder}", str(path))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "nobody may write to its folder", str(path))


def _followed(path: Path) -> Path:
    """Return where links at ``path`` lead, whether that exists or not.

    Links to open files of processes are not followed.
    """
    for _ in range(_LINKS):
        if _descriptor(path) is not None or not path.is_symlink():
            return path
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def _descriptor(path: Path) -> int | None:
    """Return the number of the file descriptor that ``path`` names, if it names one."""
    if not path.name.isdecimal() or not _DESCRIPTORS.fullmatch(str(path.parent)):
        return None
    return int(path.name)


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    number = _descriptor(path)
    if number is not None and path.parent in (Path("/dev/fd"), Path("/proc/self/fd")):
        return os.fdopen(os.dup(number), "wb")  # Continues at the descriptor's position.
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
    # Without O_CREAT and O_TRUNC: this is no regular file.
    return os.fdopen(os.open(path, os.O_WRONLY | getattr(os, "O_NOCTTY", 0)), "wb")


@contextmanager
def _afterwards(path: Path) -> Iterator[BinaryIO]:
    """Collect the output in a temporary file, and write it to ``path`` when it is complete."""
    with tempfile.TemporaryFile() as collected:
        yield collected
        collected.seek(0)
        with path.open("wb") as file:
            shutil.copyfileobj(collected, file)
