"""What changes in a catalogue: one look at the folder a second, for all who follow it.

A camera may take its time over a file, so one that changes counts when it rests: when two looks
find it the same, or the first finds it old enough.  Until then what was said of it stands.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextvars import Context
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple, Protocol

from diffc_stream.session import Catalogue as Page
from diffc_stream.session import Entry
from diffc_stream.session.messages import ENTRIES_PER_PAGE

EVERY = 1.0
"""Seconds from look to look ..."""
SHARE = 10
"""... or so many times as long as a look takes: ten thousand files take most of a second."""
RESTING = 2.0
"""Seconds after which a file that was not seen before is taken to be finished."""
MOST_MARKS = 1000
"""States of the catalogue of which it is known what has changed since."""
MOST_GONE = 10_000
"""Names remembered of pictures that are no more."""

logger = logging.getLogger("diffc_server")


class Version(NamedTuple):
    """What changes when a file does."""

    size: int
    time: int
    """When it was changed last, in nanoseconds since 1970."""
    inode: int


class Folder(Protocol):
    """What is followed: a catalogue."""

    folder: Path

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
    places: dict[str, int] = field(default_factory=dict)
    """How many entries a mark stands for."""


class Changes:
    """Follows a catalogue for as long as somebody follows this."""

    def __init__(self, catalogue: Folder) -> None:
        self._catalogue = catalogue
        self._latest = Look(seen={}, known={})
        self._version = 0
        self._touched: dict[str, int] = {}
        """In which version a name changed last; in that order."""
        self._marks: dict[str, int] = {}
        """The versions that marks stand for, oldest first."""
        self._followers = 0
        self._watching: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()
        self._turned = asyncio.Event()

    async def pages(self, mark: str | None) -> AsyncGenerator[tuple[Page, ...], None]:
        """Yield what whoever has come to ``mark`` lacks, and then what changes, without end.

        At first it may be one empty page.  What changes while the last pages are in use is in the
        next ones.
        """
        self._followers += 1
        if self._watching is None:
            self._looked.clear()
            # It looks for all of them: the log should not say that it is for the first one.
            self._watching = asyncio.create_task(self._watch(), context=Context())
        try:
            await self._looked.wait()
            pages, version = self._lacking(mark), self._version
            while True:
                yield pages
                while self._version == version:
                    await self._turned.wait()
                pages, version = self._since(version), self._version
        finally:
            self._followers -= 1
            if not self._followers:
                self._watching.cancel()
                self._watching = None

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        told = ""
        while True:
            began = clock()
            try:
                look = await asyncio.to_thread(looked, self._catalogue, self._latest)
            except OSError as error:
                # A disk that is away for a moment is not a folder without pictures.
                # Once, however long it lasts.
                logger.log(
                    logging.DEBUG if str(error) == told else logging.WARNING,
                    "the folder of pictures cannot be read: %s",
                    error,
                )
                told = str(error)
            except Exception:
                logger.exception("looking at the folder failed")
            else:
                told = ""
                self._take(look)
                self._looked.set()
            await asyncio.sleep(max(EVERY, SHARE * (clock() - began)))

    def _take(self, look: Look) -> None:
        before, self._latest = self._latest, look
        if look.marks[-1] != before.marks[-1] or not self._marks:
            self._version += 1
            changed = [
                name
                for name in before.known.keys() | look.known.keys()
                if _entry(before.known, name) != _entry(look.known, name)
            ]
            for name in sorted(changed):
                self._touched.pop(name, None)
                self._touched[name] = self._version
            self._marks.pop(look.marks[-1], None)
            self._marks[look.marks[-1]] = self._version
            self._forget()
            self._turned.set()
            self._turned = asyncio.Event()

    def _forget(self) -> None:
        """Bound what is remembered of what is no more."""
        if len(self._marks) > MOST_MARKS:
            del self._marks[next(iter(self._marks))]
        gone = [name for name in self._touched if name not in self._latest.known]
        for name in gone[: len(gone) - MOST_GONE if len(gone) > MOST_GONE else 0]:
            version = self._touched.pop(name)
            # Who has come no further would not hear of it.
            self._marks = {mark: at for mark, at in self._marks.items() if at >= version}

    def _lacking(self, mark: str | None) -> tuple[Page, ...]:
        version = self._marks.get(mark or "")
        if version is not None:
            return self._since(version)
        held = self._latest.places.get(mark or "")
        return _listed(self._latest, held or 0, changes=held is not None)

    def _since(self, version: int) -> tuple[Page, ...]:
        newest = takewhile(lambda item: item[1] > version, reversed(self._touched.items()))
        names = [name for name, _ in newest][::-1]
        known = self._latest.known
        images = sorted((known[name][1] for name in names if name in known), key=_order)
        news: list[Entry | str] = [*images, *(name for name in names if name not in known)]
        starts = range(0, len(news), ENTRIES_PER_PAGE) or [0]
        return tuple(
            _changed(
                news[start : start + ENTRIES_PER_PAGE],
                self._latest.marks[-1] if start == starts[-1] else None,
            )
            for start in starts
        )


def looked(catalogue: Folder, before: Look, now: float | None = None) -> Look:
    """Look at a catalogue's folder, after ``before``; not quick.

    ``now`` is in seconds since 1970, and this moment unless given.  Raises OSError if the folder
    itself cannot be read.
    """
    catalogue.folder.stat()
    old_enough = ((time.time() if now is None else now) - RESTING) * 1e9
    seen = catalogue.versions()
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
        return replace(before, seen=seen, known=known)
    entries = tuple(sorted((entry for _, entry in known.values()), key=_order))
    marks = _marks(entries)
    places = {mark: place for place, mark in enumerate(marks)}
    return Look(seen=seen, known=known, entries=entries, marks=marks, places=places)


def _out_of_sight(path: Path) -> bool:
    """Tell whether nobody can say if a file has gone, as where its folder cannot be read."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return False


def _order(entry: Entry) -> tuple[int, str]:
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


def _listed(look: Look, held: int, *, changes: bool) -> tuple[Page, ...]:
    """Return pages of all entries but the first ones, which are ``held``."""
    count = len(look.entries)
    starts = range(held, count, ENTRIES_PER_PAGE) or [held]
    ends = [min(start + ENTRIES_PER_PAGE, count) for start in starts]
    return tuple(
        Page(
            images=look.entries[start:end],
            last=end == ends[-1],
            changes=changes,
            mark=look.marks[end],
        )
        for start, end in zip(starts, ends, strict=True)
    )


def _changed(news: Sequence[Entry | str], mark: str | None) -> Page:
    return Page(
        images=tuple(item for item in news if isinstance(item, Entry)),
        last=mark is not None,
        changes=True,
        removed=tuple(item for item in news if isinstance(item, str)),
        mark=mark,
    )


def _entry(known: Known, name: str) -> Entry | None:
    found = known.get(name)
    return found[1] if found else None
