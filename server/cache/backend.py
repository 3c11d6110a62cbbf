"""Where the store's objects lie: a folder, or whatever else can keep them.

An object has a name and bytes, and is replaced wholly or not at all.  Everything here blocks and
runs on worker threads.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from diffc_stream.opening import open_regular
from diffc_stream.replacement import replacing
from diffc_stream.transport.locks import try_lock

SUFFIX = ".stream"
"""Of objects' names."""
MOST_BYTES = 2**27
"""A larger object is none of ours."""
PATIENCE = 5.0
"""Seconds that a writer waits for another process's writing: the kernel ends the lock of one that
was killed, not that of one that was stopped."""

_LOCK = ".lock"
_POLL = 0.01
_OURS = re.compile(r"[0-9a-f]{64}" + re.escape(SUFFIX))
_TORN = re.compile(r"\.[0-9a-f]{64}" + re.escape(SUFFIX) + r"\.[0-9a-f]{8}\.part")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known of an object without reading it."""

    name: str
    size: int
    """In bytes."""
    used: float
    """When it was written or touched, in seconds since 1970."""


class Backend(Protocol):
    """Keeps objects; all methods but ``locked`` raise OSError, of one line."""

    @property
    def where(self) -> str:
        """What to call it in messages; holds no secrets."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return an object; None if there is none of that name."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Put an object in the place of the one of that name, if there is one."""
        ...

    def touch(self, name: str) -> None:
        """Note that an object was used."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        ...

    def entries(self) -> list[Entry]:
        """Return what there is, in any order."""
        ...

    def check(self) -> None:
        """Raise OSError if nothing could be written now."""
        ...

    def locked(self) -> AbstractContextManager[None]:
        """Keep other writers out, as far as it can; readers come in.  Entering raises OSError."""
        ...


class FolderBackend:
    """Objects in files of a local folder, which other processes may use at the same time.

    They are on the disk when write() returns.  Writers exclude each other by a lock that goes
    with the process; what a killed one was writing is deleted by the next that lists the folder.
    """

    def __init__(self, folder: Path, *, patience: float = PATIENCE) -> None:
        """Keep objects in ``folder``, which is made.  Raises OSError if it cannot be.

        Should it vanish later, it is not made again: it may be where a disk is to come back.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._patience = patience

    @property
    def where(self) -> str:
        """The folder."""
        return str(self._folder)

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes."""
        try:
            with open_regular(self._folder / name) as file:
                return file.read(MOST_BYTES)
        except FileNotFoundError:
            self._folder.stat()  # it is the folder, perhaps, that has gone
            return None

    def write(self, name: str, data: bytes) -> None:
        """Replace a file."""
        with replacing(self._folder / name) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self._sync()

    def touch(self, name: str) -> None:
        """Set a file's time."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(self._folder / name)

    def remove(self, name: str) -> None:
        """Delete a file."""
        (self._folder / name).unlink(missing_ok=True)

    def entries(self) -> list[Entry]:
        """List the folder; to be called under the lock, since torn files are deleted."""
        found = []
        with os.scandir(self._folder) as files:
            for file in files:
                if _TORN.fullmatch(file.name):
                    # Whoever wrote it would have the lock.
                    self.remove(file.name)
                elif _OURS.fullmatch(file.name):
                    with contextlib.suppress(FileNotFoundError):
                        stat = file.stat(follow_symlinks=False)
                        found.append(Entry(name=file.name, size=stat.st_size, used=stat.st_mtime))
        return found

    def check(self) -> None:
        """Write a file that has no name."""
        with tempfile.TemporaryFile(dir=self._folder) as file:
            file.write(bytes(4096))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder's lock.  Raises TimeoutError if another process has it for too long."""
        descriptor = self._acquire()
        try:
            yield
        finally:
            os.close(descriptor)  # which ends the lock

    def _acquire(self) -> int:
        deadline = time.monotonic() + self._patience
        while True:
            descriptor = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                if self._lock(descriptor):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
            if time.monotonic() >= deadline:
                raise TimeoutError(errno.ETIMEDOUT, "another process has been writing for too long")
            time.sleep(_POLL)

    def _lock(self, descriptor: int) -> bool:
        """Try to lock a file, and tell whether it is now the one that all others lock too."""
        try:
            if not try_lock(descriptor):
                return False
            # Somebody may have deleted it, or the folder, and others lock a newer one.
            named, held = (self._folder / _LOCK).stat(), os.fstat(descriptor)
        except FileNotFoundError:
            return False
        return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)

    def _sync(self) -> None:
        """Have the folder itself written: only then is a replacement there after a power cut."""
        if os.name == "nt":
            return  # where folders cannot be opened
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
