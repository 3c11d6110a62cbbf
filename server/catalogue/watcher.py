"""What changes in a catalogue: one look at the folder a second, for all who follow it.

Who only asks what there is gets the next look; one is taken at a time, however many ask, and after
each there is a rest.  What many are told is encoded once.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from contextvars import Context
from itertools import takewhile

from diffc_stream.session import Catalogue, Entry
from diffc_stream.session.paging import Page, starts

from .scan import Folder, Known, Scan, by_time, listed, looked

EVERY = 1.0
"""Seconds from look to look ..."""
SHARE = 10
"""... or so many times as long as a look takes: ten thousand files take a tenth of a second."""
PATIENCE = 1.0
"""Seconds that who asks what there is waits for a look, if there was one before."""
RECALLING = 5.0
"""Seconds that a store gets to say what was noted; then the files are read."""
MOST_MARKS = 1000
"""States of the catalogue of which it is known what has changed since."""
MOST_GONE = 10_000
"""Names remembered of pictures that are no more."""

logger = logging.getLogger("diffc_server")

Pages = tuple[Page, ...]


class CatalogueWatcher:
    """Follows a catalogue for as long as somebody follows this."""

    def __init__(self, catalogue: Folder) -> None:
        self._catalogue = catalogue
        self._latest = Scan(seen={}, known={})
        self._version = 0
        self._touched: dict[str, int] = {}
        """In which version a name changed last; in that order."""
        self._marks: dict[str, int] = {}
        """The versions that marks stand for, oldest first."""
        self._followers = 0
        self._watching: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()
        self._turned = asyncio.Event()
        self._begins = [0]
        """Where pages of all there is begin."""
        self._beyond: dict[bool, Pages] = {}
        """All there is, as news or not."""
        self._news: dict[int, Pages] = {}
        """What has changed since a version, and is told to all who have come so far."""
        self._listing: Pages = ()
        self._listed: tuple[tuple[Entry, ...], int] | None = None
        """What is in that."""
        self._asked = False
        """Somebody wants to know what the next look finds."""
        self._next: asyncio.Task[None] | None = None
        """The look that who asks now gets."""
        self._looking = asyncio.Lock()
        self._rested = 0.0
        """When the next look may be taken."""
        self._recalled = False
        self._noting: asyncio.Task[None] | None = None
        self._told = ""
        """What was last wrong with the folder."""

    async def listing(self) -> Pages:
        """Return pages of all pictures as a look finds them that is taken now or a little later.

        They are the last ones known if the folder cannot be looked at, or not soon.
        """
        resting = self._rested - asyncio.get_running_loop().time()
        if self._listing and resting > PATIENCE:
            return self._listing
        self._asked = True
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE if self._listing else None):
                await self._look()
        return self._listing or (Page(Catalogue(images=(), last=True)),)

    async def pages(self, mark: str | None) -> AsyncGenerator[Pages, None]:
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
        while True:
            await self._look()
            await asyncio.sleep(EVERY)

    async def _look(self) -> None:
        """Have a look taken that begins after this, or wait for the one that will."""
        if self._next is None:
            # It is for all who ask: the log should not say that it is for the first one.
            self._next = asyncio.create_task(self._look_in_turn(), context=Context())
        await asyncio.shield(self._next)

    async def _look_in_turn(self) -> None:
        clock = asyncio.get_running_loop().time
        async with self._looking:
            await asyncio.sleep(max(0.0, self._rested - clock()))
            self._next = None
            asked, self._asked = self._asked, False
            began, reading = clock(), 0.0
            try:
                await self._recall()
                look = await asyncio.to_thread(looked, self._catalogue, self._latest)
                while look.unread and not self._marks:
                    # Nothing is told before all is known; who stops meanwhile need not wait.
                    look = await asyncio.to_thread(looked, self._catalogue, look)
                if asked:
                    entries = await asyncio.to_thread(listed, self._catalogue, look)
                    self._list(entries, look.left_out)
            except OSError as error:
                # A disk that is away for a moment is not a folder without pictures.
                # Once, however long it lasts.
                level = logging.DEBUG if str(error) == self._told else logging.WARNING
                logger.log(level, "the folder of pictures cannot be read: %s", error)
                self._told = str(error)
            except Exception:
                logger.exception("looking at the folder failed")
            else:
                self._told = ""
                reading = look.reading
                self._take(look)
                self._looked.set()
                self._note()
            finally:
                # What was read is not read again: that there was much is no reason to rest long.
                looking = max(0.0, clock() - began - reading)
                self._rested = clock() + reading + SHARE * looking

    async def _recall(self) -> None:
        """Know at the first look what was noted of the files by whoever looked before."""
        if self._recalled:
            return
        self._recalled = True
        with suppress(TimeoutError):
            async with asyncio.timeout(RECALLING):
                await asyncio.to_thread(self._catalogue.thumbprints.recall)

    def _note(self) -> None:
        """Have noted what was read of the files, beside all else, since a store may be slow."""
        if self._noting is not None and not self._noting.done():
            return
        notes = self._catalogue.thumbprints.notes()
        if notes is not None:
            self._noting = asyncio.create_task(asyncio.to_thread(notes), context=Context())

    def _list(self, entries: tuple[Entry, ...], left_out: int) -> None:
        told = (entries, left_out)
        if told != self._listed:
            self._listed, self._listing = told, _whole(entries, left_out)

    def _take(self, look: Scan) -> None:
        before, self._latest = self._latest, look
        if look.marks[-1] != before.marks[-1] or not self._marks:
            self._version += 1
            self._news = {}
            self._beyond = {}
            self._begins = starts(look.entries)
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

    def _lacking(self, mark: str | None) -> Pages:
        version = self._marks.get(mark or "")
        if version is not None:
            return self._since(version)
        held = self._latest.places.get(mark or "")
        if held is None:
            return self._all(changes=False)
        # Up to where a page of all ends, and the rest of those.
        begins = self._begins
        first = bisect_left(begins, held)
        rest = self._all(changes=True)[first:]
        if not rest or begins[first] != held:
            end = begins[first] if rest else len(self._latest.entries)
            rest = (_page(self._latest, held, end, changes=True), *rest)
        return rest

    def _all(self, *, changes: bool) -> Pages:
        """Return pages of all entries, the same ones to all who ask."""
        if changes not in self._beyond:
            ends = [*self._begins[1:], len(self._latest.entries)]
            self._beyond[changes] = tuple(
                _page(self._latest, start, end, changes=changes)
                for start, end in zip(self._begins, ends, strict=True)
            )
        return self._beyond[changes]

    def _since(self, version: int) -> Pages:
        if version not in self._news:
            self._news[version] = self._changed_since(version)
        return self._news[version]

    def _changed_since(self, version: int) -> Pages:
        newest = takewhile(lambda item: item[1] > version, reversed(self._touched.items()))
        names = [name for name, _ in newest][::-1]
        known = self._latest.known
        images = sorted((known[name][1] for name in names if name in known), key=by_time)
        news: list[Entry | str] = [*images, *(name for name in names if name not in known)]
        begins = starts(news)
        ends = [*begins[1:], len(news)]
        return tuple(
            _changed(news[start:end], self._latest.marks[-1] if end == len(news) else None)
            for start, end in zip(begins, ends, strict=True)
        )


def _whole(entries: Sequence[Entry], left_out: int) -> Pages:
    """Return pages of all entries for who does not follow them."""
    begins = starts(entries)
    ends = [*begins[1:], len(entries)]
    return tuple(
        Page(
            Catalogue(
                images=tuple(entries[start:end]),
                last=end == len(entries),
                left_out=left_out if end == len(entries) else 0,
            )
        )
        for start, end in zip(begins, ends, strict=True)
    )


def _page(look: Scan, held: int, end: int, *, changes: bool) -> Page:
    """Return the page of entries after the first ones, which are ``held``, up to ``end``."""
    last = end == len(look.entries)
    return Page(
        Catalogue(
            images=look.entries[held:end],
            last=last,
            changes=changes,
            mark=look.marks[end],
            left_out=look.left_out if last else 0,
        )
    )


def _changed(news: Sequence[Entry | str], mark: str | None) -> Page:
    return Page(
        Catalogue(
            images=tuple(item for item in news if isinstance(item, Entry)),
            last=mark is not None,
            changes=True,
            removed=tuple(item for item in news if isinstance(item, str)),
            mark=mark,
        )
    )


def _entry(known: Known, name: str) -> Entry | None:
    found = known.get(name)
    return found[1] if found else None
