"""What large files hold, without holding it: pieces as they are asked for, and one tag for all."""

from __future__ import annotations

import gzip
import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

from diffc_stream.opening import Identity, open_resolved

SMALL = 65_536
"""Bytes; of a smaller file a copy for every answer does no harm."""
MOST_UNPACKED = 2
"""Files that are there compressed alone, of which what they hold is kept for the next question."""
_PIECE = 2**18


@dataclass(frozen=True, slots=True)
class Body:
    """A file as it was when it was asked for."""

    path: Path
    """Without links."""
    version: Identity

    @classmethod
    def at(cls, path: Path) -> Body:
        """Return that of the file at a path.  Raises OSError if there is none."""
        found = path.resolve(strict=True)
        with open_resolved(found) as file:
            return cls(found, Identity.opened(file))

    @property
    def size(self) -> int:
        """In bytes."""
        return self.version.size

    def read(self, start: int, size: int) -> bytes:
        """Return so many bytes from ``start`` on, and leave nothing open.

        Raises OSError, also if another file has taken its place.
        """
        with open_resolved(self.path) as file:
            if Identity.opened(file) != self.version:
                raise FileNotFoundError(f"{self.path} has been replaced")
            file.seek(start)
            return file.read(size)


class Bodies:
    """Tags of files, and what is in those that have to be unpacked; used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tags: dict[Path, tuple[Body, str]] = {}
        self._unpacked: dict[Path, tuple[Body, bytes]] = {}

    def tag(self, body: Body) -> str:
        """Return a strong entity tag; the file is read once for all who ask.  Raises OSError."""
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
        """Return what a compressed file holds, one and the same for all.  Raises OSError."""
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
    """Return a strong entity tag for what has this hash, in hex."""
    return f'"{digest[:32]}"'
