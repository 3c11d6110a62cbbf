"""Streams that were received before: what is here is not asked for again.

One file per picture's address.  The bytes are proven by their hash when they are continued, so
nothing here need be trusted, and everything may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from diffc_stream.eviction import evict

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
        evict(self._folder, ".dfc", self._most_bytes, spare=path)
        kept = FileStream(path)
        os.utime(path)
        return kept


def usual_folder() -> Path:
    """Return where streams are kept unless somebody says otherwise."""
    given = os.environ.get(FOLDER)
    if given:
        return Path(given)
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "diffc-stream" / "streams"
