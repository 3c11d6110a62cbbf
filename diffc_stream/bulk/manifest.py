"""The manifest of a bulk run: a line of JSON for each picture, in files of the destination.

JSON Lines and not Parquet, because a line can be added when its picture is done, and a file that
was torn by ``kill -9`` loses its last line at most; every tool that reads Parquet reads them, too.
A file has at most :data:`MOST_LINES` lines.  A local file is written to at every line; an object,
which can only be replaced, after so many lines or seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from diffc_stream.bulk.places import Folder, Place

FOLDER = ".diffc-bulk"
"""The folder of the manifest's files, in the destination."""
MOST_LINES = 1000
EVERY_LINES, EVERY_SECONDS = 100, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What became of one picture."""

    name: str
    source: str
    """SHA-256 of its file, in hex; empty if it could not be read."""
    settings: str
    sha256: str = ""
    """Of its stream, in hex; empty after an error."""
    bytes: int = 0
    pixels: int = 0
    psnr: float | None = None
    """Of the whole stream, in dB, as predicted."""
    seconds: float = 0.0
    error: str | None = None


class Manifest:
    """The manifest of one destination."""

    def __init__(self, destination: Place) -> None:
        """Read the lines of earlier runs.  Raises OSError."""
        self._place = destination
        self._done: dict[str, tuple[str, str, str]] = {}
        files = destination.names(FOLDER)
        for name in files:
            for line in _lines(destination.read(name)):
                if line.error is None:
                    self._done[line.name] = (line.source, line.settings, line.sha256)
        self._part = len(files)
        self._lines: list[str] = []
        self._pending = 0
        self._flushed = time.monotonic()

    def done(self, name: str) -> tuple[str, str, str] | None:
        """Return the hash of a picture's file, the settings and the hash of its stream."""
        return self._done.get(name)

    def add(self, line: Line) -> None:
        """Add a line.  Raises OSError."""
        self._lines.append(json.dumps(asdict(line), ensure_ascii=False) + "\n")
        self._pending += 1
        waited = time.monotonic() - self._flushed
        local = isinstance(self._place, Folder)
        if local or self._pending >= EVERY_LINES or waited >= EVERY_SECONDS:
            self.flush()
        if len(self._lines) == MOST_LINES:
            self.flush()
            self._part += 1
            self._lines.clear()

    def flush(self) -> None:
        """Write the lines that are waiting.  Raises OSError."""
        if not self._pending:
            return
        name = f"{FOLDER}/{self._part:06}.jsonl"
        if isinstance(self._place, Folder):
            path = self._place.path / name
            path.parent.mkdir(exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.writelines(self._lines[-self._pending :])
        else:
            self._place.write(name, "".join(self._lines).encode())
        self._pending = 0
        self._flushed = time.monotonic()


def _lines(data: bytes) -> Iterator[Line]:
    """Yield the lines of a file; one that is torn or says something else is ignored."""
    for text in data.splitlines():
        try:
            yield Line(**json.loads(text))
        except (ValueError, TypeError):
            continue
