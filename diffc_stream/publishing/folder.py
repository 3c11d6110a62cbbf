"""The published folder: files are written whole, and those that others wrote are left alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

from diffc_stream.errors import DestinationError
from diffc_stream.publishing.record import Record
from diffc_stream.replacement import replacing, sweep

_BLOCK = 2**20


class PublishedFolder:
    """A folder that is published into."""

    def __init__(self, path: Path, record: Record) -> None:
        """Write below ``path``; ``record`` tells which files there are ours."""
        self.path = path
        self._record = record
        self.current: set[str] = set()
        """Paths of the files of this publication."""
        self.written = 0
        """Files that this publication wrote ..."""
        self.kept = 0
        """... and those that were there already, whole."""

    def put(self, path: str, data: bytes) -> None:
        """Write a file, unless it is there already.

        Raises DestinationError if another file is there that this program did not write, OSError.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        self.current.add(path)
        there = self.hash(path)
        if there == sha256:
            self._record.write(path, sha256)
            self.kept += 1
            return
        self._check(path, there)
        if self._record.wrote(path, sha256):  # A process may have been killed while it wrote it.
            sweep(self.path / path)
        self._record.write(path, sha256)
        place = self.path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as file:
            file.write(data)
        self.written += 1

    def check(self, path: str) -> None:
        """Raise DestinationError if :meth:`put` could not replace what is there; OSError."""
        self._check(path, self.hash(path))

    def hash(self, path: str) -> str | None:
        """Return the hash of a file, in hex; None if there is none.  Raises OSError."""
        digest = hashlib.sha256()
        try:
            with (self.path / path).open("rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
        except FileNotFoundError:
            return None
        return digest.hexdigest()

    def whole(self, path: str, sha256: str) -> bool:
        """Tell whether a file is there with this hash, and count it as kept.  Raises OSError."""
        if self.hash(path) != sha256:
            return False
        self.current.add(path)
        self.kept += 1
        return True

    def prune(self) -> int:
        """Delete the files of earlier publications, and return how many that were.

        Files that somebody has changed since are left alone.  Raises OSError.
        """
        pruned = 0
        for path in self._record.paths:
            there = None if path in self.current else self.hash(path)
            if there is not None and self._record.wrote(path, there):
                (self.path / path).unlink()
                self._record.forget(path)
                pruned += 1
        return pruned

    def _check(self, path: str, there: str | None) -> None:
        if there is not None and not self._record.wrote(path, there):
            raise DestinationError(
                f"{self.path / path} was not written by diffc publish, or has been changed since: "
                "it stays; move it away, or publish into another folder"
            )
