"""What has changed in a catalogue, and what of it whoever follows has yet to be told.

The newest is told first: where a catalogue takes minutes to be told, a receiver asks for pictures
meanwhile.  What comes on the way is told before the rest.
"""

from __future__ import annotations

import hashlib
import secrets
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

from diffc_stream.session import Catalogue, Entry
from diffc_stream.session.messages import ENTRIES_PER_PAGE
from diffc_stream.session.paging import Page, starts

from .scan import Known, Scan, by_time

MOST_MARKS = 1000
"""Positions of which it is known what comes after them ..."""
MOST_PAGES = 1000
"""... and pages that are encoded once for all who have come to the same one."""
MOST_GONE = 10_000
"""Names remembered of pictures that are no more."""

Pages = tuple[Page, ...]
Moment = tuple[int, str]
"""Where an entry stands in time, see by_time()."""

FIRST: Moment = (-1, "")
LAST: Moment = (2**63, "")


class Position(NamedTuple):
    """What a follower knows: all as it was in a version, but for what is still to be told of it."""

    version: int
    base: int = 0
    """Nothing is to be told of what has not changed since this version, ..."""
    low: Moment = FIRST
    """... nor of what is older than this, ..."""
    high: Moment | None = None
    """... nor of this, and what is newer; None: of nothing."""


class History:
    """The states of a catalogue, one look after the other."""

    def __init__(self) -> None:
        self.look = Scan(seen={}, known={})
        self.version = 0
        self._touched: dict[str, int] = {}
        """In which version a name changed last; in that order."""
        self._marks: dict[str, Position] = {}
        """What marks stand for, oldest first."""
        self._pages: dict[tuple[Position, bool], tuple[Pages, Position]] = {}
        """What comes next, at this version."""
        self._moments: list[Moment] = []
        """Of the entries, oldest first."""
        self._epoch = secrets.token_hex(8)

    def take(self, look: Scan) -> bool:
        """Take a look, and tell whether anything has changed."""
        before, self.look = self.look, look
        if self.version and look.marks[-1] == before.marks[-1]:
            return False
        self.version += 1
        self._pages = {}
        self._moments = [by_time(entry) for entry in look.entries]
        changed = [
            name
            for name in before.known.keys() | look.known.keys()
            if _entry(before.known, name) != _entry(look.known, name)
        ]
        for name in sorted(changed):
            self._touched.pop(name, None)
            self._touched[name] = self.version
        self._remember(look.marks[-1], Position(self.version, self.version))
        self._forget()
        return True

    def position(self, mark: str | None) -> Position | None:
        """Return what a mark stands for; None if that is not known."""
        if mark is None:
            return None
        if mark not in self._marks:
            # A sender of before may have told some of what there still is.
            self._remember_pages()
        known = self._marks.get(mark)
        held = self.look.places.get(mark) if known is None else None
        if held is None:
            return known
        if held == len(self._moments):
            return Position(self.version, self.version)
        return Position(self.version, low=self._moments[held], high=LAST)

    @property
    def beginning(self) -> Position:
        """What whoever knows nothing has come to."""
        return Position(self.version, high=LAST)

    def told(self, position: Position) -> bool:
        """Tell whether there is nothing to be told."""
        return position.version == self.version and position.high is None

    def next(self, position: Position, *, changes: bool) -> tuple[Pages, Position]:
        """Return what to tell next, and what will be known then.

        ``changes`` is for :attr:`~diffc_stream.session.messages.Catalogue.changes`.
        """
        key = position, changes
        if key not in self._pages:
            if len(self._pages) >= MOST_PAGES:
                del self._pages[next(iter(self._pages))]
            self._pages[key] = self._next(position, changes=changes)
        return self._pages[key]

    def _next(self, position: Position, *, changes: bool) -> tuple[Pages, Position]:
        if position.version == self.version:
            return self._rest(position, changes=changes)
        names = [
            name
            for name, _ in takewhile(
                lambda item: item[1] > position.version, reversed(self._touched.items())
            )
        ]
        known = self.look.known
        images = sorted((known[name][1] for name in names if name in known), key=by_time)[::-1]
        gone = sorted(name for name in names if name not in known)
        if position.high is None and len(images) > ENTRIES_PER_PAGE:
            # These too take some time: whoever has heard some need not hear them again.
            after = Position(self.version, position.version, high=LAST)
            news: list[Entry | str] = [*gone]
        else:
            after = position._replace(version=self.version)
            if position.high is None:
                after = Position(self.version, self.version)
            news = [*gone, *images]
        if not news:
            return self._rest(after, changes=changes)
        return self._cut(news, after, changes=changes), after

    def _rest(self, position: Position, *, changes: bool) -> tuple[Pages, Position]:
        """Return a page of what is still to be told of this version."""
        found: list[Entry] = []
        for entry in self._older(position):
            if self._touched.get(entry.name, 0) > position.base:
                found.append(entry)
            if len(found) > ENTRIES_PER_PAGE:
                break
        begins = starts(found)
        page = found[: begins[1]] if len(begins) > 1 else found
        if len(page) < len(found):
            after = position._replace(high=by_time(page[-1]))
        else:
            after = Position(self.version, self.version)
        return self._cut(page, after, changes=changes), after

    def _older(self, position: Position) -> Iterator[Entry]:
        """Yield the entries between the moments of a position, the newest first."""
        if position.high is None:
            return
        end = bisect_left(self._moments, position.high)
        start = bisect_left(self._moments, position.low)
        for place in range(end - 1, start - 1, -1):
            yield self.look.entries[place]

    def _cut(self, news: Sequence[Entry | str], after: Position, *, changes: bool) -> Pages:
        """Return pages of news, after all of which ``after`` is known."""
        begins, last = starts(news), self.told(after)
        ends = [*begins[1:], len(news)]
        pages = []
        for start, end in zip(begins, ends, strict=True):
            whole = end == len(news)
            message = Catalogue(
                images=tuple(item for item in news[start:end] if isinstance(item, Entry)),
                last=whole and last,
                changes=changes,
                removed=tuple(item for item in news[start:end] if isinstance(item, str)),
                mark=self._mark(after) if whole else None,
                left_out=self.look.left_out if whole and last else 0,
            )
            pages.append(Page(message))
        return tuple(pages)

    def _mark(self, position: Position) -> str:
        """Return what stands for a position, and remember it."""
        mark = self.look.marks[-1]
        if position.high is not None:
            # Of versions only this process knows; of who knew nothing, whoever sees the same.
            own = "" if position[1:3] == (0, FIRST) else f"{self._epoch} {position}"
            text = f"{mark} {position.high} {own}"
            mark = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._remember(mark, position)
        return mark

    def _remember(self, mark: str, position: Position) -> None:
        self._marks.pop(mark, None)
        self._marks[mark] = position
        while len(self._marks) > MOST_MARKS:
            del self._marks[next(iter(self._marks))]

    def _remember_pages(self) -> None:
        """Remember the marks of all pages that whoever knows nothing is told."""
        position = self.beginning
        while position.high is not None:
            _, position = self.next(position, changes=False)

    def _forget(self) -> None:
        """Bound what is remembered of what is no more."""
        gone = [name for name in self._touched if name not in self.look.known]
        for name in gone[: len(gone) - MOST_GONE if len(gone) > MOST_GONE else 0]:
            version = self._touched.pop(name)
            # Who has come no further would not hear of it.
            self._marks = {
                mark: position
                for mark, position in self._marks.items()
                if position.version >= version
            }


def _entry(known: Known, name: str) -> Entry | None:
    found = known.get(name)
    return found[1] if found else None
