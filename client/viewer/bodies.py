"""Reads large files in pieces, and caches their entity tags and unpacked contents."""

from __future__ import annotations

import gzip
import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

from diffc_stream.opening import Identity, open_resolved

SMALL = 65_536
"""Files up to so many bytes are read as a whole for each answer."""
MOST_UNPACKED = 2
"""How many files that exist only compressed are kept unpacked in memory."""
_PIECE = 2**18


@dataclass(frozen=True, slots=True)
class Body:
    """A file in the version that was there when it was asked for."""

    path: Path
    """With links resolved."""
    version: Identity

    @classmethod
    def at(cls, path: Path) -> Body:
        """Return the body of the file at a path.  Raises OSError if there is none."""
        found = path.resolve(strict=True)
        with open_resolved(found) as file:
            return cls(found, Identity.opened(file))

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.version.size

    def read(self, start: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``start`` on, and close the file again.

        Raises OSError, also if the file has been replaced.
        """
        with open_resolved(self.path) as file:
            if Identity.opened(file) != self.version:
                raise FileNotFoundError(f"{self.path} has been replaced")
            file.seek(start)
            return file.read(size)


class Bodies:
    """A cache of entity tags and unpacked files.  Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tags: dict[Path, tuple[Body, str]] = {}
        self._unpacked: dict[Path, tuple[Body, bytes]] = {}

    def tag(self, body: Body) -> str:
        """Return a file's strong entity tag; reads it at the first call.  Raises OSError."""
        with self._lock:
            known, found = self._tags.get(body.path, (None, ""))
            if known != body:
                digest = hashlib.sha256()
                for start in range(0, body.size, _PIECE):
                    digest.update(body.read(start, _PIECE))
                found = entity_tag(digest.hexdigest())
                self._tags[body.path] = body, found
            return found

    def unpacked(self, path: Path) -> bytes:
        """Return a compressed file's content, the same object to all callers.  Raises OSError."""
        body = Body.at(path)
        with self._lock:
            known, data = self._unpacked.get(body.path, (None, b""))
            if known != body:
                self._unpacked.pop(body.path, None)
                while len(self._unpacked) >= MOST_UNPACKED:
                    del self._unpacked[next(iter(self._unpacked))]
                data = gzip.decompress(body.read(0, body.size))
                self._unpacked[body.path] = body, data
            return data


def entity_tag(digest: str) -> str:
    """Return the strong entity tag for content with this hash, in hex."""
    return f'"{digest[:32]}"'
