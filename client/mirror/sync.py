"""A mirror of what a sender has: a folder of its streams that follows it.

Every picture named N is kept as N.dfc, byte for byte what the sender has, or a beginning of that.
What is new at the sender is here as soon as the link allows: the first bytes of every picture
before the last ones of any.  Nothing is decoded, unless somebody wants to look at it.  What others
have put into the folder, or changed there, is theirs, and stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn, Self

from diffc_stream.errors import (
    LinkLost,
    RemoteProtocolError,
    SessionError,
    Unauthorized,
)
from diffc_stream.session import WHOLE, Catalogue, Entry, Target, Terms
from diffc_stream.transport.backoff import Backoff

from ..remote.address import Address
from ..remote.credentials import NO_ACCESS, Access, TokenFile
from ..remote.websocket import MOST_ENTRIES, Link
from ..storage.shielded import shielded
from .content import ASK
from .cooperative import cooperatively
from .owned_folder import MOST_BYTES, MOST_PICTURES, Holdings
from .paths import SUFFIX, Places, Unplaceable
from .progress import Mirrored, mirrored
from .removal import Removal
from .state import Record, Records
from .tally import Counting
from .transfers import Transfers

SAVE_EVERY, SAVE_IDLE = 10.0, 0.5
"""Seconds between writings of what is remembered: while streams come, and while none does."""

logger = logging.getLogger("diffc_client")

__all__ = ["Mirror", "Mirrored"]


class Mirror:
    """Keeps below one folder what one sender has, over one link after the other.

    >>> async with Mirror(Path("pictures")) as mirror:
    ...     await mirror.run(Address.parse("ws://station:8765"))     # until it is cancelled
    """

    def __init__(
        self,
        folder: Path,
        *,
        target: Target = WHOLE,
        delete: bool = False,
        most_bytes: int = MOST_BYTES,
        most_pictures: int = MOST_PICTURES,
        linked: bool = True,
        every: float = 60.0,
        models: Iterable[str] = (),
        terms: Terms | None = None,
        backoff: Backoff | None = None,
        on_change: Callable[[Mirrored], object] | None = None,
        on_received: Callable[[int], object] | None = None,
        tell_every: float = 60.0,
    ) -> None:
        """Prepare to keep streams below ``folder``, each as far as ``target``.

        With ``delete`` what is no more at the sender is deleted here too.  No more than about
        ``most_bytes`` of disk are filled, and no more than ``most_pictures`` are kept.  Without
        ``linked`` the folder itself must not be a link.  A sender that does not say what changes
        is asked ``every`` so many seconds.  ``models`` are fingerprints of the only ones that
        streams may need; none given, any will do.  ``on_change`` is called, on the event loop,
        whenever a picture's file has grown, every now and then, and at first for those that are
        here and have not been rendered as they are; ``on_received`` with numbers of bytes.  The log
        says how far it has come every ``tell_every`` seconds, while pictures come.
        """
        self._folder = folder
        self._target = target
        self._delete = delete
        self._most_bytes = most_bytes
        self._every = every
        self._models = tuple(models)
        self._terms = terms or Terms()
        self._backoff = backoff or Backoff(patience=None)
        self._on_change = on_change
        self._most_pictures = most_pictures
        self._linked = linked
        self._on_received = on_received
        self.connected = False
        """There is a sender at the other end."""
        self._records = Records()
        self.counting = Counting(self._records, target, every=tell_every)
        """How far it has come."""
        self._left_out: dict[str, Entry] = {}
        """Pictures whose place a stream that is ready has."""
        self._doubtful: set[str] = set()
        """Pictures that a catalogue under way has not confirmed yet."""
        self._beyond = 0
        """Pictures of a catalogue that are too many."""
        self._dirty = False

    async def __aenter__(self) -> Self:
        """Make the folder, and see what is there.  Raises OSError, if another mirror is too."""
        unseen = await asyncio.to_thread(self._load)
        self._transfers = Transfers(
            self._records,
            self._holdings,
            self._target,
            on_change=self._on_change,
            on_gone=self._gone,
            is_busy=self._is_busy,
            on_received=self._on_received,
        )
        self._removal = Removal(self._holdings, self._transfers)
        try:
            async for one in cooperatively(unseen):
                if self._on_change is not None:
                    self._on_change(one)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            self._transfers.close()
            await self._removal.wait()
            with contextlib.suppress(OSError):
                await shielded(self._save)
        finally:
            await shielded(self._holdings.close)
            self._places.unlock()

    @property
    def folder(self) -> Path:
        """Where streams are kept."""
        return self._folder

    @property
    def pictures(self) -> int:
        """Pictures that the sender has, as far as is known."""
        return self.counting.pictures

    @property
    def missing(self) -> int:
        """Those of them of which more is wanted."""
        return sum(
            record.ended is None and not record.refused for record in self._records.images.values()
        )

    async def run(self, address: Address, *, access: Access | TokenFile = NO_ACCESS) -> NoReturn:
        """Mirror the sender at ``address`` until cancelled, whatever it or the link does.

        Raises Unauthorized if it does not let anybody in with this ``access`` at first, or
        SafetyError.
        """
        backoff = self._backoff.fresh()
        met = False
        while True:
            try:
                link = await Link.dial(
                    address,
                    models=self._models,
                    terms=self._terms,
                    access=await access.current(),
                )
                met = True
                await self.follow(link, heard=backoff.progress)
            except SessionError as error:
                # Who was let in before may be again: files of tokens are written anew.
                if isinstance(error, Unauthorized) and not met:
                    raise
                logger.warning("%s: %s", address, error)
                await backoff.pause(error)

    async def follow(self, link: Link, *, heard: Callable[[], object] = lambda: None) -> NoReturn:
        """Mirror the sender at the other end of ``link`` until that is lost, and close it.

        ``heard`` is called when something has come.  Raises SessionError.
        """
        self.connected = True
        await self._transfers.begin()
        failure: BaseException = LinkLost("the link has ended")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._list(link, heard))
                tasks.create_task(self._transfers.receive_all(link, tasks, heard))
                tasks.create_task(self._keep_saved())
                tasks.create_task(self.counting.keep_told(self._folder, self._transfers))
        except* SessionError as group:
            failure = group.exceptions[0]
        finally:
            self.connected = False
            self._transfers.end()
            await link.close()
        raise _first(failure)

    # What the sender has

    async def _list(self, link: Link, heard: Callable[[], object]) -> None:
        pages = link.follow(self._records.mark)
        first = True
        while True:
            page = await _next(pages, None)
            heard()
            await self._take(page, first=first)
            await asyncio.sleep(0)  # many pages may be here at once
            first = page.last
            if page.last:
                self._summarise()
            if page.last and not link.following:
                with contextlib.suppress(TimeoutError):
                    await _next(pages, self._every)
                pages = link.follow(self._records.mark)

    def _summarise(self) -> None:
        displaced = self._transfers.displaced
        more = f", others' files in place of {displaced}" if displaced else ""
        logger.info("%s: %d pictures, %d to get%s", self._folder, self.pictures, self.missing, more)

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
            most = f"{self._most_pictures} pictures are as many as are kept"
            self._transfers.complain("pictures", f"{most}; {self._beyond} are left out")
        self._records.mark = page.mark or self._records.mark
        self._dirty = True
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
        """Tell whether a picture has a place here."""
        name = entry.name
        try:
            rival = self._places.rival(name)
            if rival is not None and name == rival + SUFFIX:
                # A stream that is ready comes before the picture that it is of.
                if rival in self._records.images:
                    self._left_out[rival] = self._records.images[rival].entry
                self._transfers.curtail(rival)
                self._forget(rival)
            self._places.claim(name)
        except OSError as error:
            if f"{name}{SUFFIX}" in self._records.images:
                self._left_out[name] = entry
            self._transfers.complain("names", f"not mirrored: {error}")
            return False
        self._left_out.pop(name, None)
        return True

    def _withdraw(self, name: str) -> None:
        """A picture is no more at the sender."""
        self._left_out.pop(name, None)
        if name not in self._records.images:
            return
        if name in self._transfers:
            # Whoever receives it takes care of the rest.
            self._transfers.curtail(name)
            del self._records.images[name]
            self._transfers.discard(name)
        else:
            self._gone(name)
        if name.removesuffix(SUFFIX) in self._left_out:
            self._offer(self._left_out[name.removesuffix(SUFFIX)])

    def _gone(self, name: str) -> None:
        """Delete a picture that is no more, if that is wanted, and forget it."""
        if self._delete:
            try:
                place = self._places.claim(name)
            except OSError as error:
                self._transfers.complain("files", f"{name} cannot be deleted: {error}")
            else:
                self._removal.add(name, place)
        self._forget(name)

    def _forget(self, name: str) -> None:
        self._records.images.pop(name, None)
        self._transfers.discard(name)
        self._places.release(name)

    def _is_busy(self, name: str) -> bool:
        """Tell whether a picture's file is about to be deleted."""
        with contextlib.suppress(OSError):
            return self._removal.busy and self._removal.has(self._places.claim(name))
        return False

    # What is remembered

    def _load(self) -> list[Mirrored]:
        """Return what is to be rendered."""
        self._places = Places(self._folder, linked=self._linked)
        self._places.lock()
        try:
            self._holdings = Holdings(
                self._places, most_bytes=self._most_bytes, most_pictures=self._most_pictures
            )
            records = Records.load(self._holdings, self._target)
            self._records = self.counting.records = records
            return self._unseen()
        except BaseException:
            self._places.unlock()
            raise

    def _unseen(self) -> list[Mirrored]:
        unseen, holdings = [], self._holdings
        for name, record in tuple(self._records.images.items()):
            try:
                place = self._places.claim(name)
                self._places.check(place)
            except Unplaceable:
                # It will be said when the sender offers it.
                del self._records.images[name]
                self._records.mark = None
                continue
            stream, picture = map(holdings.relative, (place.stream, place.picture))
            if holdings.journal.fresh:
                holdings.adopt(stream, length=record.length if record.ended else None)
                holdings.adopt(picture, length=None)
            size = holdings.size(stream)
            record.held = size
            if record.ended is not None and size != record.length:
                record.ended = None
            known = holdings.journal.get(stream)
            if known is not None and known[0].digest == ASK:
                record.ended = None
            if self._on_change is not None and known is not None and not place.rendered:
                unseen.append(mirrored(record, place, size, holdings))
        return unseen

    def _save(self) -> None:
        self._dirty = self._transfers.dirty = False
        self._holdings.journal.upkeep()
        # A catalogue that has not come wholly says nothing of what is no more.
        mark = None if self._doubtful else self._records.mark
        self._records.save(self._holdings, self._target, mark=mark)

    async def _keep_saved(self) -> None:
        waited = 0.0
        while True:
            await asyncio.sleep(SAVE_IDLE)
            waited += SAVE_IDLE
            dirty = self._dirty or self._transfers.dirty
            if dirty and (waited >= SAVE_EVERY or not self._transfers.running):
                waited = 0.0
                try:
                    await asyncio.to_thread(self._save)
                except OSError as error:
                    self._transfers.complain("notes", f"what is here cannot be noted: {error}")


async def _next(pages: asyncio.Queue[Catalogue | SessionError], seconds: float | None) -> Catalogue:
    """Return the next page.  Raises what has ended the link, or TimeoutError."""
    async with asyncio.timeout(seconds):
        page = await pages.get()
    if isinstance(page, SessionError):
        raise page
    return page


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
