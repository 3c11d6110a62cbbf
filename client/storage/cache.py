"""The cache of received streams: bytes in it are not asked for again.

There is one file per address of a picture.  When a stream is continued, the sender checks a hash of
its bytes, so files need not be trusted, and may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from pathlib import Path

from diffc_stream.container import Header

from ..remote.address import Address
from .eviction import evict
from .partial_stream import FileStream, MemoryStream

FOLDER = "DIFFC_CACHE"
"""The environment variable that names another folder than the usual one."""
MOST_BYTES = 2**28
"""Largest size of all files; beyond it the least recently used are deleted."""


DIGITS = 32
_FILES = "[0-9a-f]" * DIGITS + ".dfc"
"""The pattern of the cache's file names; other files in the folder are left alone."""

logger = logging.getLogger("diffc_client")


class Store:
    """Prefixes of streams in files of one folder."""

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
        """Keep streams in ``folder``, creating it if needed.  Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._most_bytes = most_bytes

    def open(self, address: Address) -> FileStream:
        """Open the stream of the picture at ``address``, which is empty if it is new.

        Raises OSError, also if another process has it open.
        """
        name = hashlib.sha256(str(address).encode()).hexdigest()[:DIGITS]
        path = self._folder / f"{name}.dfc"
        evict(self._folder, _FILES, self._most_bytes, spare=path)
        kept = FileStream(path)
        os.utime(path)
        return kept


class Cached:
    """A stream of the cache that goes on in memory if the disk fails.

    The cache is a convenience, so a full disk must not stop a picture.
    """

    def __init__(self, file: FileStream) -> None:
        self._kept: FileStream | MemoryStream = file
        self._file = file

    @property
    def length(self) -> int:
        """How many bytes are held."""
        return self._kept.length

    @property
    def prefix(self) -> str | None:
        """Hash of the bytes held; None if there are none."""
        return self._kept.prefix

    @property
    def header(self) -> Header | None:
        """The stream's header; None until it is complete."""
        return self._kept.header

    def read(self) -> bytes:
        """Return all bytes held."""
        return self._kept.read()

    def append(self, data: bytes) -> None:
        """Append bytes; log once if they can be kept in memory only."""
        try:
            self._kept.append(data)
        except OSError as error:
            logger.warning("the stream cannot be cached: %s", error.strerror or error)
            memory = MemoryStream()
            memory.append(self._file.read())
            memory.append(data)
            self._kept = memory

    def restart(self) -> None:
        """Drop all bytes held."""
        if self._kept is self._file:
            self._file.restart()
        else:
            self._kept = MemoryStream()

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self._file.close()


def usual_folder() -> Path:
    """Return the cache's folder: $DIFFC_CACHE, or the user's usual folder of caches."""
    given = os.environ.get(FOLDER)
    if given:
        return Path(given)
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "diffc-stream" / "streams"
