"""A look at a folder of pictures: which there are, and what there is to say of them.

A camera may take its time over a file, so one that changes counts when it rests: when two looks
find it the same, or the first finds it old enough.  Until then what was said of it stands.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from diffc_stream.session import Entry

RESTING = 2.0
"""Seconds after which a file that was not seen before is taken to be finished."""


class Version(NamedTuple):
    """What changes when a file does."""

    size: int
    time: int
    """When it was changed last, in nanoseconds since 1970."""
    inode: int


class Folder(Protocol):
    """What is followed: a catalogue."""

    folder: Path

    @property
    def left_out(self) -> int:
        """How many older files the last walk has found beside."""
        ...

    def versions(self) -> dict[str, Version]:
        """Return the files of all pictures, by name; walks the folder, so not quick."""
        ...

    def entry(self, name: str, version: Version) -> Entry | None:
        """Return what there is to say of a picture; None if it cannot be read."""
        ...

    def forget(self, versions: dict[str, Version]) -> None:
        """Forget what was remembered of all files but these."""
        ...


Known = dict[str, tuple[Version, Entry]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
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


def looked(catalogue: Folder, before: Look, now: float | None = None) -> Look:
    """Look at a catalogue's folder, after ``before``; not quick.

    ``now`` is in seconds since 1970, and this moment unless given.  Raises OSError if the folder
    itself cannot be read.
    """
    catalogue.folder.stat()
    old_enough = ((time.time() if now is None else now) - RESTING) * 1e9
    seen = catalogue.versions()
    left_out = catalogue.left_out
    known: Known = {}
    for name, version in seen.items():
        old = before.known.get(name)
        if old is not None and old[0] == version:
            known[name] = old
            continue
        rests = before.seen.get(name) == version or version.time <= old_enough
        entry = catalogue.entry(name, version) if rests else None
        if entry is not None:
            known[name] = (version, entry)
        elif old is not None:
            known[name] = old
    for name, old in before.known.items():
        if name not in seen and _out_of_sight(catalogue.folder / name):
            seen[name], known[name] = old[0], old
    catalogue.forget(seen)
    if known == before.known and before.places:
        return replace(before, seen=seen, known=known, left_out=left_out)
    entries = tuple(sorted((entry for _, entry in known.values()), key=by_time))
    marks = _marks(entries)
    places = {mark: place for place, mark in enumerate(marks)}
    return Look(
        seen=seen, known=known, entries=entries, marks=marks, left_out=left_out, places=places
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


def listed(catalogue: Folder, look: Look) -> tuple[Entry, ...]:
    """Return what there is to say of all files of a look, by name, resting or not; not quick."""
    entries = []
    for name, version in sorted(look.seen.items()):
        known = look.known.get(name)
        rests = known is not None and known[0] == version
        entry = known[1] if known is not None and rests else catalogue.entry(name, version)
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
