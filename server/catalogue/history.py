"""The versions of a catalogue, and what each follower has yet to be told.

The newest pictures are told first: on a slow link a large catalogue takes minutes, and meanwhile a
receiver can already ask for pictures.  Changes that happen meanwhile come before the rest.

A *mark* is a short hash that names what a follower knows; a follower that reconnects sends the last
one, and is then told only what it lacks.  Each catalogue that a look finds changed is a *version*.
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
"""How many marks are remembered ..."""
MOST_PAGES = 1000
"""... and how many pages, each encoded once for all followers at the same position."""
MOST_GONE = 10_000
"""How many names of removed pictures are remembered."""

Pages = tuple[Page, ...]
Moment = tuple[int, str]
"""Where an entry stands in the order of by_time()."""

FIRST: Moment = (-1, "")
LAST: Moment = (2**63, "")


class Position(NamedTuple):
    """What a follower knows: all of a version, except the entries from ``low`` to ``high``."""

    version: int
    base: int = 0
    """Of those, only what has changed since this version has to be told."""
    low: Moment = FIRST
    """The oldest entry to be told."""
    high: Moment | None = None
    """The end of the entries to be told, itself excluded; None if there are none."""


class History:
    """The versions of a catalogue as the looks at its folder find them."""

    def __init__(self) -> None:
        self.look = Scan(seen={}, known={})
        self.version = 0
        self._touched: dict[str, int] = {}
        """The version in which a name last changed, in the order of the changes."""
        self._marks: dict[str, Position] = {}
        """The positions that marks stand for, oldest first."""
        self._pages: dict[tuple[Position, bool], tuple[Pages, Position]] = {}
        """The next pages for a position in this version, and the position after them."""
        self._moments: list[Moment] = []
        """The entries' order keys, oldest first."""
        self._epoch = secrets.token_hex(8)

    def take(self, look: Scan) -> bool:
        """Take the result of a look, and tell whether anything has changed."""
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
        """Return the position that a mark stands for; None if it is not known."""
        if mark is None:
            return None
        if mark not in self._marks:
            # An earlier process of this sender may have sent it, for pictures that are still there.
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
        """The position of a follower that knows nothing."""
        return Position(self.version, high=LAST)

    def told(self, position: Position) -> bool:
        """Tell whether a follower at this position knows all."""
        return position.version == self.version and position.high is None

    def next(self, position: Position, *, changes: bool) -> tuple[Pages, Position]:
        """Return the next pages to send, and the position after them.

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
            # These take several pages: a mark after each saves repeating it after a reconnection.
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
        """Return the next page of what is still to be told of this version."""
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
        """Return ``news`` as pages; the position after the last is ``after``."""
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
        """Return the mark of a position, and remember it."""
        mark = self.look.marks[-1]
        if position.high is not None:
            # Versions mean something to this process only.  A position on the way from nothing is
            # the same in every process that sees the same files.
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
        """Remember the marks of all pages that a follower without any knowledge is sent."""
        position = self.beginning
        while position.high is not None:
            _, position = self.next(position, changes=False)

    def _forget(self) -> None:
        """Bound what is remembered of removed pictures."""
        gone = [name for name in self._touched if name not in self.look.known]
        for name in gone[: len(gone) - MOST_GONE if len(gone) > MOST_GONE else 0]:
            version = self._touched.pop(name)
            # A follower at an earlier version would not be told of the removal.
            self._marks = {
                mark: position
                for mark, position in self._marks.items()
                if position.version >= version
            }


def _entry(known: Known, name: str) -> Entry | None:
    found = known.get(name)
    return found[1] if found else None
