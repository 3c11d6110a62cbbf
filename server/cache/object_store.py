"""A store's backend in an object store, or in any other place that fsspec reaches by a URL."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

from diffc_stream.errors import AddressError, MissingPackage
from diffc_stream.replacement import replacing

from .backend import LEFT, MOST_BYTES, SUFFIX, Entry
from .lease import SUFFIX as LEASE
from .lease import Lease, Leases

TORN = ".part"
"""The suffix of what a sender has left that was killed while it wrote to a local disk."""
TRIAL = f"trial{TORN}"
"""The object that :meth:`ObjectStore.check` writes and removes."""
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")
"""The keys under which file systems give the time at which an object was written."""


class ObjectStore:
    """Objects below a URL, each written by one call, which object stores carry out wholly or not.
    On a local disk others see an object wholly or not at all, too.

    There are no locks: of two processes that write an object at the same time, one wins.  Leases
    (:mod:`.lease`) keep most from doing so.  Objects cannot be touched either, so only uses that
    this process knows of count.
    """

    def __init__(self, url: str) -> None:
        """Keep objects below ``url``, creating the place if needed.

        Raises MissingPackage without fsspec or the package that it needs for such a URL,
        AddressError for a URL that fsspec does not know, and OSError if the place cannot be
        created.
        """
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise MissingPackage(
                "a store at a URL needs fsspec: pip install 'diffc-stream[remote]'"
            ) from error
        try:
            # No cached listings, because other processes write there too.
            self._files, self._root = url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            raise MissingPackage(f"a store at this URL needs another package: {error}") from error
        except ValueError as error:
            raise AddressError(f"not a valid place for a store: {error}") from error
        self._root = self._root.rstrip("/")
        if not self._root:
            raise AddressError("not a valid place for a store: name a bucket, s3://BUCKET/PREFIX")
        # For messages, rebuilt without the passwords that the given URL may contain.
        protocol = self._files.protocol
        name = protocol if isinstance(protocol, str) else protocol[0]
        self._where = f"{name}://{self._root}"
        self._local = bool(getattr(self._files, "local_file", False))
        """Whether objects are files here, which would be seen while they are being written."""
        self._used: dict[str, float] = {}
        self._refused = False
        """Whether the last attempt to write failed."""
        self._leases = Leases(self)
        with _told():
            self._files.makedirs(self._root, exist_ok=True)

    @property
    def where(self) -> str:
        """The URL, without passwords."""
        return self._where

    def read(self, name: str) -> bytes | None:
        """Return an object's bytes."""
        with _told():
            try:
                data = self._files.cat_file(self._path(name), start=0, end=MOST_BYTES)
            except FileNotFoundError:
                return None
        return bytes(data)

    def write(self, name: str, data: bytes) -> None:
        """Write an object."""
        self.replace(name, data)
        self.touch(name)

    def replace(self, name: str, data: bytes) -> None:
        """Write an object that counts neither as used nor for the size."""
        self._refused = True  # unless it succeeds
        with _told():
            if self._local:
                with replacing(Path(self._path(name))) as file:
                    file.write(data)
            else:
                self._files.pipe_file(self._path(name), data)
        self._refused = False

    def create(self, name: str, data: bytes) -> bool:
        """Write an object unless there is one; return False if there is.

        Exclusive on local disks, S3, Google's and Azure's stores and in memory.  Other file systems
        of fsspec look first and then write, so two processes may both succeed.
        """
        with _told():
            try:
                if self._local:
                    _create(Path(self._path(name)), data)
                else:
                    self._files.pipe_file(self._path(name), data, mode="create")
            except FileExistsError:
                return False
        return True

    def claim(self, key: str) -> Lease | None:
        """Create a lease, or take over one that has expired."""
        return self._leases.claim(key)

    def claimed(self, key: str) -> bool:
        """Look whether there is a lease that has not expired."""
        return self._leases.held(key)

    def touch(self, name: str) -> None:
        """Remember that an object was used now."""
        self._used[name] = time.time()

    def remove(self, name: str) -> None:
        """Remove an object."""
        self._used.pop(name, None)
        with _told(), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def entries(self) -> list[Entry]:
        """List the objects."""
        with _told():
            try:
                listed = self._files.ls(self._root, detail=True)
            except FileNotFoundError:
                return []  # object stores have no empty folders
        found = []
        for facts in listed:
            name = str(facts["name"]).rpartition("/")[2]
            if facts["type"] == "file" and name.endswith(SUFFIX):
                used = max(_time(facts), self._used.get(name, 0.0))
                found.append(Entry(name=name, size=int(facts["size"]), used=used))
            elif name.endswith((LEASE, TORN)) and 0.0 < _time(facts) < time.time() - LEFT:
                self.remove(name)
        # Forget those that other processes have removed.
        self._used = {entry.name: entry.used for entry in found if entry.name in self._used}
        return found

    def check(self) -> None:
        """Raise OSError if the place cannot be reached, or written to.

        It tries to write, which costs a request, only if that failed the last time.
        """
        self.entries()
        if self._refused:
            self.replace(TRIAL, bytes(4096))
            with contextlib.suppress(OSError):  # Else another look finds it, and removes it.
                self.remove(TRIAL)

    def locked(self) -> AbstractContextManager[None]:
        """Return a context manager that does nothing."""
        return nullcontext()

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


def _create(path: Path, data: bytes) -> None:
    """Create a file with its contents at once.  Raises FileExistsError, or another OSError."""
    temporary = path.with_name(f".{path.name[:80]}.{secrets.token_hex(4)}{TORN}")
    try:
        temporary.write_bytes(data)
        try:
            os.link(temporary, path)
        except OSError as error:
            if isinstance(error, FileExistsError) or error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            with path.open("xb") as file:  # some disks have no links
                file.write(data)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn every error of the file system into an OSError with one line of text."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno or 0, _line(error.strerror or error)) from error
    except Exception as error:
        # Each file system has its own exceptions, and serving has to go on after any of them.
        raise OSError(0, _line(f"{type(error).__name__}: {error}")) from error


def _line(text: object) -> str:
    return " ".join(str(text).split())[:300]


def _time(facts: dict[str, Any]) -> float:
    """Return when an object was written, in seconds since 1970; 0 if that is not known."""
    for key in _TIMES:
        match facts.get(key):
            case int() | float() as seconds:
                return float(seconds)
            case datetime() as moment:
                return moment.timestamp()
            case str() as text:
                with contextlib.suppress(ValueError):
                    return datetime.fromisoformat(text).timestamp()
    return 0.0
