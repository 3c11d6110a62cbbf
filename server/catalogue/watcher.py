"""Watches a catalogue's folder, once a second, for all followers together.

A receiver that asks for a list once gets the result of the next look.  Looks never overlap,
however many receivers ask, and are followed by a pause.  A page for many receivers is encoded once.
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
from .scan import Folder, by_time, list_entries, scan_folder

EVERY = 1.0
"""Seconds between two looks ..."""
SHARE = 10
"""... or so many times the length of a look: one at ten thousand files takes 0.1 s."""
PATIENCE = 0.5
"""Seconds that a request for a list waits for a new look, if there is an earlier result."""
RECALLING = 5.0
"""Seconds that a store gets to return the noted thumbprints; then the files are read."""

logger = logging.getLogger("diffc_server")


class CatalogueWatcher:
    """Watches a catalogue as long as it has followers."""

    def __init__(self, catalogue: Folder) -> None:
        self._catalogue = catalogue
        self._history = History()
        self._followers = 0
        self._watching: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()
        self._turned = asyncio.Event()
        self._listing: Pages = ()
        self._listed: tuple[tuple[Entry, ...], int] | None = None
        """What ``_listing`` was made from."""
        self._asked = False
        """Whether a request for a list waits for the next look."""
        self._next: asyncio.Task[None] | None = None
        """The task of the next look, which has not begun yet."""
        self._looks: set[asyncio.Task[None]] = set()
        """The tasks of the next look and of the one under way."""
        self._looking = asyncio.Lock()
        self._rested = 0.0
        """The earliest time for the next look."""
        self._recalled = False
        self._noting: asyncio.Task[None] | None = None
        self._told = ""
        """The last error that was logged of the folder."""

    async def listing(self) -> Pages:
        """Return pages of all pictures, from a look taken now or a little later.

        If the folder cannot be read soon, they are from the last look.
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
        """Yield pages of what a follower at ``mark`` lacks, and then of what changes, without end.

        The newest pictures come first, a page at a time; the first page may be empty.  What changes
        while the caller uses the last pages is in the next ones.
        """
        self._followers += 1
        if self._watching is None:
            self._looked.clear()
            # It serves all followers, so the log must not name the first one's connection.
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

    async def close(self) -> None:
        """End the looks that wait or are under way, once nobody asks any more."""
        looks, self._next = tuple(self._looks), None
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(EVERY)

    async def _look(self) -> None:
        """Wait for a look that begins after this call, starting one if none is waiting."""
        if self._next is None:
            # It serves all requests, so the log must not name the first one's connection.
            self._next = asyncio.create_task(self._look_in_turn(), context=Context())
            self._looks.add(self._next)
            self._next.add_done_callback(self._looks.discard)
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
                look = await asyncio.to_thread(scan_folder, self._catalogue, self._history.look)
                while look.unread and not self._history.version:
                    # Tell nothing before all files are known.  Between looks it can be cancelled.
                    look = await asyncio.to_thread(scan_folder, self._catalogue, look)
                if asked:
                    entries = await asyncio.to_thread(list_entries, self._catalogue, look)
                    self._list(entries, look.left_out)
            except OSError as error:
                # A disk that is away for a moment does not remove the pictures from the catalogue.
                # The warning comes once, however long the error lasts.
                level = logging.DEBUG if str(error) == self._told else logging.WARNING
                logger.log(level, "the folder of pictures cannot be read: %s", error)
                self._told = str(error)
            except Exception:
                logger.exception("scanning the folder failed")
            else:
                self._told = ""
                reading = look.reading
                if self._history.take(look):
                    self._turned.set()
                    self._turned = asyncio.Event()
                self._looked.set()
                self._note()
            finally:
                # Reading does not count: files are read once, so many new ones need no long pause.
                looking = max(0.0, clock() - began - reading)
                self._rested = clock() + reading + SHARE * looking

    async def _recall(self) -> None:
        """Load, before the first look, the thumbprints that earlier processes noted."""
        if self._recalled:
            return
        self._recalled = True
        with suppress(TimeoutError):
            async with asyncio.timeout(RECALLING):
                await asyncio.to_thread(self._catalogue.thumbprints.recall)

    def _note(self) -> None:
        """Note new thumbprints, in the background because a store may be slow."""
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
    """Return pages of all entries, the newest first, for receivers that do not follow."""
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
