"""Streams that were received before: what is here is not asked for again.

One file per picture's address.  The bytes are proven by their hash when they are continued, so
nothing here need be trusted, and everything may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from .address import Address
from .kept import FileStream

FOLDER = "DIFFC_CACHE"
"""The environment variable that says where, if not where caches usually are."""
MOST_BYTES = 2**28
"""Of all streams kept; beyond that the ones that were not used for longest go."""


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
        name = hashlib.sha256(str(address).encode()).hexdigest()[:32]
        path = self._folder / f"{name}.dfc"
        self._trim(path)
        kept = FileStream(path)
        os.utime(path)
        return kept

    def _trim(self, wanted: Path) -> None:
        found = [(path, path.stat()) for path in self._folder.glob("*.dfc")]
        total = sum(stat.st_size for _, stat in found)
        for path, stat in sorted(found, key=lambda entry: entry[1].st_mtime):
            if total > self._most_bytes and path != wanted:
                path.unlink(missing_ok=True)
                total -= stat.st_size


def usual_folder() -> Path:
    """Return where streams are kept unless somebody says otherwise."""
    given = os.environ.get(FOLDER)
    if given:
        return Path(given)
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "diffc-stream" / "streams"
