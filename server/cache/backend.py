"""What the store keeps its objects in: a folder, or anything else that can hold bytes by name.

An object has a name and bytes, and is replaced as a whole or not at all.  Everything here blocks,
and so runs on worker threads.
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

from .lease import Lease

SUFFIX = ".stream"
"""The suffix of object names."""
MOST_BYTES = 2**27
"""Largest object that is read."""
PATIENCE = 5.0
"""Seconds that a writer waits for another process's lock.  The kernel releases the lock of a
process that was killed, but not of one that was suspended."""

_LOCK = ".lock"
_POLL = 0.01
_OURS = re.compile(r"[0-9a-f]{64}" + re.escape(SUFFIX))
_TORN = re.compile(r"\.[0-9a-f]{64}" + re.escape(SUFFIX) + r"\.[0-9a-f]{8}\.part")
_LEASE = re.compile(r"\.[0-9a-f]{64}\.lease")
LEFT = 86_400.0
"""Seconds after which a lease that nobody has released is deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An object's name, size and time."""

    name: str
    size: int
    """In bytes."""
    used: float
    """When it was written or touched, in seconds since 1970."""


class Backend(Protocol):
    """Keeps objects.  All methods except ``locked`` itself raise OSError with one line of text."""

    @property
    def where(self) -> str:
        """The place as messages show it, without secrets."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return an object's bytes; None if there is none of that name."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Create an object, or replace the one of that name."""
        ...

    def touch(self, name: str) -> None:
        """Set the time at which an object was last used to now."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        ...

    def entries(self) -> list[Entry]:
        """Return all objects, in any order."""
        ...

    def check(self) -> None:
        """Raise OSError if nothing could be written now."""
        ...

    def locked(self) -> AbstractContextManager[None]:
        """Exclude other writers where the backend can; readers go on.  Entering raises OSError."""
        ...

    def claim(self, key: str) -> Lease | None:
        """Return the right to encode what the key stands for; None if another has it."""
        ...

    def claimed(self, key: str) -> bool:
        """Tell whether another has that right."""
        ...


class FolderBackend:
    """Objects in files of a local folder, which other processes may use at the same time.

    When write() returns, the object is on the disk.  Writers exclude each other by a lock that
    ends with the process.  The unfinished file of a writer that was killed is deleted by the next
    one that lists the folder.
    """

    def __init__(self, folder: Path, *, patience: float = PATIENCE) -> None:
        """Keep objects in ``folder``, creating it if needed.  Raises OSError if that fails.

        A folder that vanishes later is not created again, because it may be on a disk that will be
        mounted again.
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
            self._folder.stat()  # raises if the folder itself is missing
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
        """List the folder.  Call it under the lock, because it deletes unfinished files."""
        found = []
        with os.scandir(self._folder) as files:
            for file in files:
                if _TORN.fullmatch(file.name):
                    # Its writer would hold the lock, and so is dead.
                    self.remove(file.name)
                elif _OURS.fullmatch(file.name):
                    with contextlib.suppress(FileNotFoundError):
                        stat = file.stat(follow_symlinks=False)
                        found.append(Entry(name=file.name, size=stat.st_size, used=stat.st_mtime))
                elif _LEASE.fullmatch(file.name):
                    with contextlib.suppress(FileNotFoundError):
                        if file.stat(follow_symlinks=False).st_mtime < time.time() - LEFT:
                            self.remove(file.name)
        return found

    def check(self) -> None:
        """Try to write a temporary file."""
        with tempfile.TemporaryFile(dir=self._folder) as file:
            file.write(bytes(4096))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder's lock.  Raises TimeoutError if another process keeps it too long."""
        descriptor = self._acquire()
        try:
            yield
        finally:
            os.close(descriptor)  # which ends the lock

    def claim(self, key: str) -> Lease | None:
        """Lock a file, which the kernel unlocks when the process ends: no lease is ever stale."""
        path = self._lease(key)
        descriptor = self._locked(path)
        return None if descriptor is None else _LockedFile(path, descriptor)

    def claimed(self, key: str) -> bool:
        """Look whether the file is locked."""
        path = self._lease(key)
        try:
            descriptor = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            return not try_lock(descriptor)
        finally:
            os.close(descriptor)

    def _lease(self, key: str) -> Path:
        return self._folder / f".{key}.lease"

    def _acquire(self) -> int:
        deadline = time.monotonic() + self._patience
        while True:
            descriptor = self._locked(self._folder / _LOCK)
            if descriptor is not None:
                return descriptor
            if time.monotonic() >= deadline:
                raise TimeoutError(errno.ETIMEDOUT, "another process has been writing for too long")
            time.sleep(_POLL)

    def _locked(self, path: Path) -> int | None:
        """Create a file if needed, and return its descriptor locked; None if another has it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if self._lock(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def _lock(self, descriptor: int, path: Path) -> bool:
        """Try to lock a file; tell whether that worked and the file is still at the path."""
        try:
            if not try_lock(descriptor):
                return False
            # If the file was deleted meanwhile, other processes lock a newer one.
            named, held = path.stat(), os.fstat(descriptor)
        except FileNotFoundError:
            return False
        return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)

    def _sync(self) -> None:
        """Write the folder itself to disk, without which a power cut can undo a replacement."""
        if os.name == "nt":
            return  # Windows cannot open folders
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _LockedFile:
    """A lease that is a lock."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._held = [descriptor]

    def __del__(self) -> None:
        self.close()  # whoever asked for it did not wait for the answer

    def renew(self) -> bool:
        """Do nothing: it lasts as long as the process."""
        return True

    def release(self) -> None:
        """Delete the file and unlock it."""
        try:
            if self._held:
                self._path.unlink(missing_ok=True)
        finally:
            self.close()

    def close(self) -> None:
        """Unlock the file."""
        with contextlib.suppress(IndexError):
            os.close(self._held.pop())
