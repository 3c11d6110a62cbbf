"""Streams that were received before: what is here is not asked for again.

One file per picture's address.  The bytes are proven by their hash when they are continued, so
nothing here need be trusted, and everything may be deleted at any time.
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
"""The environment variable that says where, if not where caches usually are."""
MOST_BYTES = 2**28
"""Of all streams kept; beyond that the ones that were not used for longest go."""


DIGITS = 32
_FILES = "[0-9a-f]" * DIGITS + ".dfc"
"""What files of a store are called; others in the folder are somebody's."""

logger = logging.getLogger("diffc_client")


class Store:
    """Prefixes of streams, kept below one folder."""

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
        """Keep streams in ``folder``, which is made.  Raises OSError if it cannot be used."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._most_bytes = most_bytes

    def open(self, address: Address) -> FileStream:
        """Return what is kept of the picture at ``address``, and a place for more.

        Raises OSError, among others if another process has it open.
        """
        name = hashlib.sha256(str(address).encode()).hexdigest()[:DIGITS]
        path = self._folder / f"{name}.dfc"
        evict(self._folder, _FILES, self._most_bytes, spare=path)
        kept = FileStream(path)
        os.utime(path)
        return kept


class Cached:
    """What a store has of a picture, as long as its disk takes it; then in memory.

    A store is a convenience: one whose disk is full keeps nobody from a picture.
    """

    def __init__(self, file: FileStream) -> None:
        self._kept: FileStream | MemoryStream = file
        self._file = file

    @property
    def length(self) -> int:
        """Bytes held."""
        return self._kept.length

    @property
    def prefix(self) -> str | None:
        """Hash of them; None if there are none."""
        return self._kept.prefix

    @property
    def header(self) -> Header | None:
        """The stream's header; None as long as there is no whole one."""
        return self._kept.header

    def read(self) -> bytes:
        """Return all bytes held."""
        return self._kept.read()

    def append(self, data: bytes) -> None:
        """Take the bytes that follow, and say once if they are not remembered."""
        try:
            self._kept.append(data)
        except OSError as error:
            logger.warning("not remembered for the next time: %s", error.strerror or error)
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
        """Let go of the file."""
        with contextlib.suppress(OSError):
            self._file.close()


def usual_folder() -> Path:
    """Return where streams are kept unless somebody says otherwise."""
    given = os.environ.get(FOLDER)
    if given:
        return Path(given)
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "diffc-stream" / "streams"
