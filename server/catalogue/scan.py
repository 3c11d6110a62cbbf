"""A look at a folder of pictures: which there are, and what there is to say of them.

A camera may take its time over a file, so one that changes counts when it rests: when two looks
find it the same, or the first finds it old enough.  Until then what was said of it stands.
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
"""Seconds after which a file that was not seen before is taken to be finished."""
READING = 1.0
"""Seconds that a look reads what is new, the newest first; later ones go on."""


class Version(NamedTuple):
    """What changes when a file does."""

    size: int
    time: int
    """When it was changed last, in nanoseconds since 1970, as far as its owner says."""
    inode: int
    changed: int = 0
    """When the system itself has seen it change last, its name and rights included."""

    @classmethod
    def of(cls, found: os.stat_result) -> Version:
        """Return what a look at a file has found."""
        return cls(found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns)


class Noted(Protocol):
    """What is known of files, and outlives the process."""

    def recall(self) -> None:
        """Know what was noted by whoever was here before; not quick."""
        ...

    def notes(self) -> Callable[[], None] | None:
        """Return what notes all that is known, on any thread, if that is worth it by now."""
        ...


class Folder(Protocol):
    """What is followed: a catalogue."""

    folder: Path

    @property
    def thumbprints(self) -> Noted:
        """What stands for the contents of its files."""
        ...

    @property
    def left_out(self) -> int:
        """How many older files the last walk has found beside."""
        ...

    def versions(self) -> dict[str, Version]:
        """Return the files of all pictures, by name; walks the folder, so not quick."""
        ...

    def entry(self, name: str, version: Version) -> Entry | None:
        """Return what there is to say of a picture; None if it cannot be read.

        Reads it, unless that is known, and so is not quick.
        """
        ...

    def settled(self, name: str) -> bool:
        """Tell whether a file that has the same version is the same."""
        ...

    def forget(self, versions: dict[str, Version]) -> None:
        """Forget what was remembered of all files but these."""
        ...


Known = dict[str, tuple[Version, Entry]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a look at the folder has found."""

    seen: dict[str, Version]
    known: Known
    """Of files that rest, by name."""
    entries: tuple[Entry, ...] = ()
    """The same by time, so that what is new comes last."""
    marks: tuple[str, ...] = (hashlib.sha256().hexdigest()[:16],)
    """Of nothing, of the first entry, of the first two, and so on."""
    left_out: int = 0
    """How many older files there are beside."""
    places: dict[str, int] = field(default_factory=dict)
    """How many entries a mark stands for."""
    reading: float = 0.0
    """Seconds of it that went by reading files."""
    unread: int = 0
    """Files that rest, and of which nothing is known for want of time."""


class _Reading:
    """What a look reads of files, as long as it may."""

    def __init__(self, catalogue: Folder, seconds: float) -> None:
        self._catalogue = catalogue
        self._seconds = seconds
        self.spent = 0.0

    @property
    def over(self) -> bool:
        """There is no more time."""
        return self.spent >= self._seconds

    def entry(self, name: str, version: Version) -> Entry | None:
        """Return what there is to say of a picture; None if it cannot be read, or not now."""
        if self.over:
            return None
        began = time.perf_counter()
        entry = self._catalogue.entry(name, version)
        self.spent += time.perf_counter() - began
        return entry


def looked(catalogue: Folder, before: Scan, now: float | None = None) -> Scan:
    """Look at a catalogue's folder, after ``before``; not quick.

    ``now`` is in seconds since 1970, and this moment unless given.  Raises OSError if the folder
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
    """Tell whether nobody can say if a file has gone, as where its folder cannot be read."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return False


def listed(catalogue: Folder, look: Scan) -> tuple[Entry, ...]:
    """Return what there is to say of all files of a look, by name, resting or not; not quick.

    Of those that have changed, and take too long to read, what was known before stands.
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
    """Return what entries are sorted by for who follows them: what is new comes last."""
    return entry.time, entry.name


def _marks(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return what stands for the first none, one, two and so on of the entries."""
    digest = hashlib.sha256()
    marks = [digest.hexdigest()[:16]]
    for entry in entries:
        line = f"{entry.name}\n{entry.size} {entry.time} {entry.thumbprint}\n"
        digest.update(line.encode())
        marks.append(digest.hexdigest()[:16])
    return tuple(marks)
