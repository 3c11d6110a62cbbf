"""What changes in a catalogue: one look at the folder a second, for all who follow it.

Who only asks what there is gets the next look; one is taken at a time, however many ask, and after
each there is a rest.  What many are told is encoded once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from contextvars import Context

from diffc_stream.session import Catalogue, Entry
from diffc_stream.session.paging import Page, starts

from .history import History, Pages
from .scan import Folder, by_time, listed, looked

EVERY = 1.0
"""Seconds from look to look ..."""
SHARE = 10
"""... or so many times as long as a look takes: ten thousand files take a tenth of a second."""
PATIENCE = 1.0
"""Seconds that who asks what there is waits for a look, if there was one before."""
RECALLING = 5.0
"""Seconds that a store gets to say what was noted; then the files are read."""

logger = logging.getLogger("diffc_server")


class CatalogueWatcher:
    """Follows a catalogue for as long as somebody follows this."""

    def __init__(self, catalogue: Folder) -> None:
        self._catalogue = catalogue
        self._history = History()
        self._followers = 0
        self._watching: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()
        self._turned = asyncio.Event()
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

        The newest comes first, a page at a time, and at first it may be an empty one.  What changes
        while the last pages are in use is in the next ones.
        """
        self._followers += 1
        if self._watching is None:
            self._looked.clear()
            # It looks for all of them: the log should not say that it is for the first one.
            self._watching = asyncio.create_task(self._watch(), context=Context())
        try:
            await self._looked.wait()
            history = self._history
            known = history.position(mark)
            changes = known is not None
            position = known or history.beginning
            while True:
                pages, position = history.next(position, changes=changes)
                yield pages
                while history.told(position):
                    changes = True
                    await self._turned.wait()
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
                look = await asyncio.to_thread(looked, self._catalogue, self._history.look)
                while look.unread and not self._history.version:
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
                if self._history.take(look):
                    self._turned.set()
                    self._turned = asyncio.Event()
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


def _whole(entries: Sequence[Entry], left_out: int) -> Pages:
    """Return pages of all entries for who does not follow them, the newest first."""
    entries = sorted(entries, key=by_time)[::-1]
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
