"""The record of what has been published: a file of JSON lines in the published folder.

It tells the files that this program wrote from all others, which it never touches, and which
stream a picture became, so that it is not encoded again.  A line is added before the file that it
is about is written.  So after a crash the record may name a file that is not there, or a torn last
line may say nothing, but no file that was written is unknown.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Self

NAME = ".diffc-publish.jsonl"
"""The record's name.  Web servers commonly hide files whose names begin with a dot."""
MOST_LINE = 65_536
"""Longer lines are ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The stream that a picture became."""

    stream: str
    """Its path in the published folder."""
    sha256: str
    width: int
    height: int
    model: str
    thumbnail: str
    thumbnail_sha256: str


class Record:
    """The record of one published folder.  Use it in a ``with`` block."""

    def __init__(self, folder: Path) -> None:
        """Read the record, if there is one.  Raises OSError."""
        self._path = folder / NAME
        self._written: dict[str, set[str]] = {}
        self._made: dict[tuple[str, str], Made] = {}
        whole = True
        if self._path.exists():
            with self._path.open("rb") as file:
                while line := file.readline(MOST_LINE):
                    whole = line.endswith(b"\n")
                    self._take(line)
        self._file: BinaryIO = self._path.open("ab")
        if not whole:
            self._file.write(b"\n")

    def __enter__(self) -> Self:
        """Return the record."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its file."""
        self._file.close()

    @property
    def paths(self) -> list[str]:
        """Paths of all files that were ever written, those of earlier publications too."""
        return list(self._written)

    def wrote(self, path: str, sha256: str) -> bool:
        """Tell whether this program wrote a file of this hash to ``path``, now or earlier."""
        return sha256 in self._written.get(path, ())

    def write(self, path: str, sha256: str) -> None:
        """Note that a file is about to be written."""
        if not self.wrote(path, sha256):
            self._written.setdefault(path, set()).add(sha256)
            self._add({"path": path, "sha256": sha256})

    def forget(self, path: str) -> None:
        """Forget a file that has been deleted, for as long as the record is open."""
        self._written.pop(path, None)

    def made(self, source: str, settings: str) -> Made | None:
        """Return what the file with the hash ``source`` became under these settings."""
        return self._made.get((source, settings))

    def make(self, source: str, settings: str, made: Made) -> None:
        """Note what it became."""
        if self._made.get((source, settings)) != made:
            self._made[source, settings] = made
            self._add({"source": source, "settings": settings, "made": asdict(made)})

    def _add(self, facts: dict[str, object]) -> None:
        self._file.write(json.dumps(facts, ensure_ascii=False).encode() + b"\n")
        self._file.flush()

    def _take(self, line: bytes) -> None:
        """Take a line; one that is torn or says something else is ignored."""
        try:
            facts = json.loads(line)
            if "made" in facts:
                made = Made(**facts["made"])
                self._made[str(facts["source"]), str(facts["settings"])] = made
            else:
                self._written.setdefault(str(facts["path"]), set()).add(str(facts["sha256"]))
        except (ValueError, KeyError, TypeError):
            return
