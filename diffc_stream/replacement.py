"""Write a file wholly or not at all, and notice that somebody has."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_unfinished: set[Path] = set()
"""What is being written at the moment, by any thread."""
_guard = threading.Lock()
"""Held by who changes that, and the folder with it."""
_PATIENCE = 0.2
"""Seconds to wait for a folder that takes long to be changed."""


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that takes the place of ``path`` when the block ends well.

    Whoever reads ``path`` meanwhile sees the old file or the new one.  If the block raises,
    ``path`` is as it was and nothing is left behind.  Only a file that something is mounted on,
    which nothing can take the place of, is written to instead.  Raises OSError, which names
    ``path``.
    """
    # In the same folder, because only within one filesystem is a replacement atomic; opened
    # plainly rather than with mkstemp, whose files nobody else may read.
    temporary = path.with_name(f".{_beginning(path)}.{secrets.token_hex(4)}.part")
    try:
        with _guard:
            _unfinished.add(temporary)
            opened = temporary.open("xb")
        with opened as file:
            yield file
        _put(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (temporary, str(temporary)):
            error.filename = str(path)  # nobody knows the other
            del error.filename2
        raise
    finally:
        _unfinished.discard(temporary)


@contextmanager
def unfinished(path: Path) -> Iterator[None]:
    """Have :func:`abandon` delete a file that is being written within the block."""
    _unfinished.add(path)
    try:
        yield
    finally:
        _unfinished.discard(path)


def abandon() -> None:
    """Delete what is being written, and let nothing more be: for a process that is about to end."""
    _guard.acquire(timeout=_PATIENCE)  # for good
    for temporary in tuple(_unfinished):
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def sweep(path: Path) -> None:
    """Delete what processes that were killed while they replaced ``path`` have left.

    Nobody may be replacing it at the moment.  Raises OSError.
    """
    for torn in path.parent.glob(f".{glob.escape(_beginning(path))}.????????.part"):
        torn.unlink(missing_ok=True)


def stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is replaced or written to; None if there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _put(temporary: Path, path: Path) -> None:
    """Have a file take the place of ``path``, or else what is in it that of what is in there."""
    try:
        with _guard:
            os.replace(temporary, path)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        shutil.copyfile(temporary, path)
        temporary.unlink()


def _beginning(path: Path) -> str:
    """Return as much of a file's name as leaves room for more within 255 bytes."""
    return path.name.encode(errors="ignore")[:200].decode(errors="ignore")
