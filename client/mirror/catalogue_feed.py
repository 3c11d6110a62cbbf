"""Decides which pictures a mirror wants: the sender's whole catalogue, or pictures by name."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable

from diffc_stream.container.grammar import STREAM_SUFFIX
from diffc_stream.container.reference import MOST_BACK
from diffc_stream.errors import RemoteProtocolError, SessionError
from diffc_stream.session import Catalogue, Entry

from ..remote.mqtt import MqttLink
from ..remote.websocket import MOST_ENTRIES, Link
from .cooperative import cooperatively
from .owned_folder import OwnedFolder
from .removal import Removal
from .state import Record, Records
from .transfers import Transfers

logger = logging.getLogger("diffc_client")


class CatalogueFeed:
    """Updates the records of a mirror from the sender's catalogue, and queues pictures."""

    def __init__(
        self,
        records: Records,
        owned: OwnedFolder,
        transfers: Transfers,
        removal: Removal,
        *,
        delete: bool,
        most_pictures: int,
        every: float,
    ) -> None:
        """With ``delete``, delete pictures that the sender has removed; keep ``most_pictures``.

        A sender that does not send changes is asked again every ``every`` seconds.
        """
        self._records = records
        self._owned = owned
        self._transfers = transfers
        self._removal = removal
        self._delete = delete
        self._most_pictures = most_pictures
        self._every = every
        self._left_out: dict[str, Entry] = {}
        """Pictures whose place a .dfc file of the sender has."""
        self._doubtful: set[str] = set()
        """Pictures that the catalogue that is arriving has not confirmed yet."""
        self._beyond = 0
        """How many pictures of the catalogue exceed the limit."""
        self.dirty = False
        """Whether the records have changed since they were saved."""

    @property
    def mark(self) -> str | None:
        """The mark of the last page of the catalogue.

        None while a catalogue is arriving, because it does not show yet which pictures are removed.
        """
        return None if self._doubtful else self._records.mark

    async def follow(self, link: Link | MqttLink, heard: Callable[[], object]) -> None:
        """Want all pictures of the sender, until cancelled.  Raises SessionError."""
        pages = link.follow(self._records.mark)
        first = True
        while True:
            page = await _next(pages, None)
            heard()
            await self._take(page, first=first)
            await asyncio.sleep(0)  # many pages may arrive at once
            first = page.last
            if page.last:
                self._summarise()
            if page.last and not link.following:
                with contextlib.suppress(TimeoutError):
                    await _next(pages, self._every)
                pages = link.follow(self._records.mark)

    async def get(self, names: Iterable[str]) -> None:
        """Want pictures by name, until all of them are complete."""
        images = tuple(Entry(name=name, size=0, time=0, thumbprint="") for name in sorted(names))
        await self._take(Catalogue(images=images, last=True), first=True)
        self._summarise()
        while any(record.ended is None for record in self._records.images.values()):
            self._transfers.finished.clear()
            await self._transfers.finished.wait()

    def gone(self, name: str) -> None:
        """Delete a picture that the sender has removed, if that is wanted, and forget it.

        It stays until no other starts from it.
        """
        removed = self._transfers.starts.removed(name)
        for one in removed if self._delete else ():
            try:
                place = self._owned.places.claim(one)
            except OSError as error:
                self._transfers.complain("files", f"{one} cannot be deleted: {error}")
            else:
                self._removal.add(one, place)
                self._owned.places.release(one)
        self.forget(name)

    def want_beginning(self, name: str) -> None:
        """Want of a picture that nobody asked for what others start from, up to MOST_BACK."""
        entry, images = Entry(name=name, size=0, time=0, thumbprint=""), self._records.images
        if sum(record.aside for record in images.values()) >= MOST_BACK:
            most = f"pictures start from more than {MOST_BACK} others, from {name} among them"
            self._transfers.complain("pictures", most)
        elif name not in images and self._claim(entry):
            images[name] = Record(entry=entry, aside=True)

    def forget(self, name: str) -> None:
        """Drop all state of a picture."""
        self._records.images.pop(name, None)
        self._transfers.discard(name)
        self._owned.places.release(name)

    def _summarise(self) -> None:
        displaced = self._transfers.displaced
        more = f", others' files in place of {displaced}" if displaced else ""
        pictures, missing = len(self._records.images), self._records.missing
        text = "%s: %d pictures, %d to get%s"
        logger.info(text, self._owned.folder, pictures, missing, more)

    async def _take(self, page: Catalogue, *, first: bool) -> None:
        if first and not page.changes:
            self._doubtful = set(self._records.images)
            self._records.mark = None
        if first:
            self._beyond = 0
        for entry in page.images:
            self._doubtful.discard(entry.name)
            self._offer(entry)
        for name in page.removed:
            self._withdraw(name)
        if page.last:
            async for name in cooperatively(tuple(self._doubtful)):
                self._withdraw(name)
            self._doubtful.clear()
        if len(self._records.images) + self._beyond > MOST_ENTRIES:
            raise RemoteProtocolError(f"a catalogue of more than {MOST_ENTRIES} pictures")
        if page.last and self._beyond:
            most = f"{self._most_pictures} pictures are the limit"
            self._transfers.complain("pictures", f"{most}; {self._beyond} are left out")
        self._records.mark = page.mark or self._records.mark
        self.dirty = True
        self._transfers.changed.set()

    def _offer(self, entry: Entry) -> None:
        record = self._records.images.get(entry.name)
        if record is not None:
            if record.entry.thumbprint != entry.thumbprint:
                record.ended, record.refused = None, False
                self._transfers.renew(entry.name)
            record.entry = entry
        elif len(self._records.images) >= self._most_pictures:
            self._beyond += 1
        elif self._claim(entry):
            self._records.images[entry.name] = Record(entry=entry)
        self._transfers.wait(entry.name)

    def _claim(self, entry: Entry) -> bool:
        """Reserve a picture's place; tell whether that is possible."""
        name, places = entry.name, self._owned.places
        try:
            rival = places.rival(name)
            if rival is not None and name == rival + STREAM_SUFFIX:
                # The sender's own .dfc file takes precedence over its picture.
                if rival in self._records.images:
                    self._left_out[rival] = self._records.images[rival].entry
                self._transfers.curtail(rival)
                self.forget(rival)
            places.claim(name)
        except OSError as error:
            if f"{name}{STREAM_SUFFIX}" in self._records.images:
                self._left_out[name] = entry
            self._transfers.complain("names", f"not mirrored: {error}")
            return False
        self._left_out.pop(name, None)
        return True

    def _withdraw(self, name: str) -> None:
        """Handle a picture that the sender has removed."""
        self._left_out.pop(name, None)
        if name not in self._records.images:
            return
        if name in self._transfers:
            # The transfer handles the rest when it ends.
            self._transfers.curtail(name)
            del self._records.images[name]
            self._transfers.discard(name)
        else:
            self.gone(name)
        if name.removesuffix(STREAM_SUFFIX) in self._left_out:
            self._offer(self._left_out[name.removesuffix(STREAM_SUFFIX)])


async def _next(pages: asyncio.Queue[Catalogue | SessionError], seconds: float | None) -> Catalogue:
    """Return the next page.  Raises the error that ended the link, or TimeoutError."""
    async with asyncio.timeout(seconds):
        page = await pages.get()
    if isinstance(page, SessionError):
        raise page
    return page
