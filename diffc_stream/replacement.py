"""Write a file completely or not at all, and notice when a file was replaced."""

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
"""Files that are being written at the moment, by any thread."""
_guard = threading.Lock()
"""Held while files are created or put in place, so that :func:`abandon` misses none."""
_PATIENCE = 0.2
"""Seconds that :func:`abandon` waits for this lock, because a slow disk may hold it for long."""


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that replaces ``path`` when the block ends without an error.

    A program that reads ``path`` meanwhile sees the old file or the new one.  If the block raises,
    ``path`` is as it was and nothing is left behind.  One exception: a file that something is
    mounted on cannot be replaced, and is written to instead.  Raises OSError, which names ``path``.
    """
    # In the same folder, because a replacement is atomic only within a filesystem.  Not opened with
    # mkstemp, because other users could not read the result.
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
            error.filename = str(path)  # The temporary name means nothing to users.
            del error.filename2
        raise
    finally:
        _unfinished.discard(temporary)


@contextmanager
def unfinished(path: Path) -> Iterator[None]:
    """Make :func:`abandon` delete a file that is written within the block."""
    _unfinished.add(path)
    try:
        yield
    finally:
        _unfinished.discard(path)


def abandon() -> None:
    """Delete all files that are being written, and prevent new ones, before the process ends."""
    _guard.acquire(timeout=_PATIENCE)  # Never released.
    for temporary in tuple(_unfinished):
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def sweep(path: Path) -> None:
    """Delete temporary files of processes that were killed while they replaced ``path``.

    Call it only while no process is replacing ``path``.  Raises OSError.
    """
    for torn in path.parent.glob(f".{glob.escape(_beginning(path))}.????????.part"):
        torn.unlink(missing_ok=True)


def stamp(path: Path) -> tuple[int, int, int] | None:
    """Return values that change when a file is replaced or written to; None without a file."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _put(temporary: Path, path: Path) -> None:
    """Replace ``path`` by a file or, if that is impossible, overwrite its contents."""
    try:
        with _guard:
            os.replace(temporary, path)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        shutil.copyfile(temporary, path)
        temporary.unlink()


def _beginning(path: Path) -> str:
    """Return the first 200 bytes of a file's name, so that more can be added within 255 bytes."""
    return path.name.encode(errors="ignore")[:200].decode(errors="ignore")
