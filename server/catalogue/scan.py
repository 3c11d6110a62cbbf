"""One look at a folder of pictures: which files there are, and their entries.

A camera may write a file slowly, so a new or changed file counts only once it *rests*: when two
looks find it the same, or the first finds it old enough.  Until then its earlier entry stands.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from diffc_stream.session import Entry

RESTING = 2.0
"""Seconds since its last change after which a new file counts as finished."""
READING = 1.0
"""Seconds that one look spends on reading new files, the newest first; the next look goes on."""


class Version(NamedTuple):
    """What identifies the version of a file: these change when the file does."""

    size: int
    time: int
    """Modification time, in nanoseconds since 1970, which programs can set."""
    inode: int
    changed: int = 0
    """Time of the last change of any kind (ctime): permissions, name and content."""

    @classmethod
    def of(cls, found: os.stat_result) -> Version:
        """Return the version that ``found`` describes."""
        return cls(found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns)


class ThumbprintNotes(Protocol):
    """Hashes of files that outlive the process."""

    def recall(self) -> None:
        """Load what earlier processes noted; slow."""
        ...

    def notes(self) -> Callable[[], None] | None:
        """Return a function that writes the notes, on any thread, if there is enough to note."""
        ...


class Folder(Protocol):
    """What the looks need of a catalogue."""

    folder: Path

    @property
    def thumbprints(self) -> ThumbprintNotes:
        """The hashes of its files' contents."""
        ...

    @property
    def left_out(self) -> int:
        """How many older files the last walk found that the catalogue has no room for."""
        ...

    def versions(self) -> dict[str, Version]:
        """Return the versions of all pictures' files, by name; walks the folder, so it is slow."""
        ...

    def entry(self, name: str, version: Version) -> Entry | None:
        """Return a picture's entry; None if it cannot be read.

        Reads the file unless its hash is known, so it is slow.
        """
        ...

    def settled(self, name: str) -> bool:
        """Tell whether the same version means the same content."""
        ...

    def forget(self, versions: dict[str, Version]) -> None:
        """Forget all files except these."""
        ...


Known = dict[str, tuple[Version, Entry]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The result of one look at the folder."""

    seen: dict[str, Version]
    known: Known
    """The entries of files that rest, by name, and the versions that they describe."""
    entries: tuple[Entry, ...] = ()
    """The same in order of time, the newest last."""
    marks: tuple[str, ...] = (hashlib.sha256().hexdigest()[:16],)
    """The marks of no entries, of the first entry, of the first two, and so on."""
    left_out: int = 0
    """How many older files the catalogue has no room for."""
    places: dict[str, int] = field(default_factory=dict)
    """For each mark, how many entries it stands for."""
    reading: float = 0.0
    """Seconds that the look spent reading files."""
    unread: int = 0
    """How many resting files have no entry yet, because time ran out."""


class _Reading:
    """Reads files until the time of a look is used up."""

    def __init__(self, catalogue: Folder, seconds: float) -> None:
        self._catalogue = catalogue
        self._seconds = seconds
        self.spent = 0.0

    @property
    def over(self) -> bool:
        """Whether the time is used up."""
        return self.spent >= self._seconds

    def entry(self, name: str, version: Version) -> Entry | None:
        """Return a picture's entry; None if it cannot be read, or there is no time left."""
        if self.over:
            return None
        began = time.perf_counter()
        entry = self._catalogue.entry(name, version)
        self.spent += time.perf_counter() - began
        return entry


def scan_folder(catalogue: Folder, before: Scan, now: float | None = None) -> Scan:
    """Look at a catalogue's folder, given the result of the look before; slow.

    ``now`` is in seconds since 1970; by default the current time.  Raises OSError if the folder
    itself cannot be read.
    """
    catalogue.folder.stat()
    old_enough = ((time.time() if now is None else now) - RESTING) * 1e9
    seen = catalogue.versions()
    left_out = catalogue.left_out
    known: Known = {}
    changed: list[tuple[bool, int, str]] = []
    for name, version in seen.items():
        old = before.known.get(name)
        if old is not None:
            known[name] = old
            if old[0] == version and catalogue.settled(name):
                continue
        if before.seen.get(name) == version or version.time <= old_enough:
            changed.append((old is None or old[0] != version, version.time, name))
    reading, unread = _Reading(catalogue, READING), 0
    for _, _, name in sorted(changed, reverse=True):
        unread += reading.over and name not in known
        entry = reading.entry(name, seen[name])
        if entry is not None:
            known[name] = (seen[name], entry)
    for name, old in before.known.items():
        if name not in seen and _out_of_sight(catalogue.folder / name):
            seen[name], known[name] = old[0], old
    catalogue.forget(seen)
    if known == before.known and before.places:
        return replace(
            before,
            seen=seen,
            known=known,
            left_out=left_out,
            reading=reading.spent,
            unread=unread,
        )
    entries = tuple(sorted((entry for _, entry in known.values()), key=by_time))
    marks = _marks(entries)
    places = {mark: place for place, mark in enumerate(marks)}
    return Scan(
        seen=seen,
        known=known,
        entries=entries,
        marks=marks,
        left_out=left_out,
        places=places,
        reading=reading.spent,
        unread=unread,
    )


def _out_of_sight(path: Path) -> bool:
    """Tell whether it is unknown if a file still exists, because its folder cannot be read."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return False


def list_entries(catalogue: Folder, look: Scan) -> tuple[Entry, ...]:
    """Return the entries of all files of a look, by name, resting or not; slow.

    Files that have changed, and take too long to read, keep their earlier entries.
    """
    entries = []
    reading = _Reading(catalogue, max(0.0, READING - look.reading))
    for name, version in sorted(look.seen.items()):
        known = look.known.get(name)
        if known is None:
            entry = catalogue.entry(name, version)
        elif known[0] == version:
            entry = known[1]
        else:
            entry = reading.entry(name, version) or known[1]
        if entry is not None:
            entries.append(entry)
    return tuple(entries)


def by_time(entry: Entry) -> tuple[int, str]:
    """Return the key by which entries are sorted for followers: the newest come last."""
    return entry.time, entry.name


def _marks(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return the marks of the first 0, 1, 2 and so on of the entries."""
    digest = hashlib.sha256()
    marks = [digest.hexdigest()[:16]]
    for entry in entries:
        line = f"{entry.name}\n{entry.size} {entry.time} {entry.thumbprint}\n"
        digest.update(line.encode())
        marks.append(digest.hexdigest()[:16])
    return tuple(marks)
