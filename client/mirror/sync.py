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

from diffc_stream.errors import AddressError, LinkLost, SessionError, Unauthorized
from diffc_stream.session import WHOLE, Target, Terms
from diffc_stream.transport.backoff import Backoff

from ..remote.address import Address
from ..remote.credentials import NO_ACCESS, Access, TokenFile
from ..remote.http_ranges import RangeLink
from ..remote.websocket import Link
from ..storage.shielded import shielded
from .catalogue_feed import CatalogueFeed
from .content import ASK
from .cooperative import cooperatively
from .owned_folder import MOST_BYTES, MOST_PICTURES, Holdings
from .paths import Places, Unplaceable
from .progress import Mirrored, mirrored
from .removal import Removal
from .state import Records
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
        self._named = False
        """Pictures are wanted by their names: there is no catalogue to remember."""
        self.done = False
        """All is here that was to be got: pictures by name, of which nothing more is asked."""
        self._records = Records()
        self.counting = Counting(self._records, target, every=tell_every)
        """How far it has come."""

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
        self._feed = CatalogueFeed(
            self._records,
            self._holdings,
            self._transfers,
            self._removal,
            delete=self._delete,
            most_pictures=self._most_pictures,
            every=self._every,
        )
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
        return self._records.missing

    async def run(self, *addresses: Address, access: Access | TokenFile = NO_ACCESS) -> NoReturn:
        """Mirror a sender until cancelled, whatever it or the link does.

        ``addresses`` are of one sender: its own, or those of the pictures that are wanted of it,
        which may lie on a server of files too.  Pictures that are here are not asked for again.
        Raises AddressError if it has no such thing, Unauthorized if it does not let anybody in with
        this ``access`` at first, or SafetyError.
        """
        names = names_of(addresses)
        self.done = False
        if names is not None:
            self._name(names)
        backoff = self._backoff.fresh()
        met = False
        while not self.done:
            link: Link | RangeLink | None = None
            try:
                link = await self._dial(addresses, await access.current())
                await self._follow(link, names, backoff.progress)
            except SessionError as error:
                # Who was let in before may be again: files of tokens are written anew.
                met = met or isinstance(link, Link) or (link is not None and link.met)
                if isinstance(error, Unauthorized) and not met:
                    raise
                logger.warning("%s: %s", addresses[0].sender, error)
                await backoff.pause(error)
        while True:
            await asyncio.Event().wait()

    async def _dial(self, addresses: tuple[Address, ...], access: Access) -> Link | RangeLink:
        """Connect.  Raises SessionError."""
        if addresses[0].plain:
            return await RangeLink.dial(*addresses, terms=self._terms, access=access)
        sender, terms = addresses[0].sender, self._terms
        return await Link.dial(sender, models=self._models, terms=terms, access=access)

    async def follow(self, link: Link, *, heard: Callable[[], object] = lambda: None) -> NoReturn:
        """Mirror the sender at the other end of ``link`` until that is lost, and close it.

        ``heard`` is called when something has come.  Raises SessionError.
        """
        await self._follow(link, None, heard)
        raise LinkLost("the link has ended")

    async def _follow(
        self, link: Link | RangeLink, names: frozenset[str] | None, heard: Callable[[], object]
    ) -> None:
        """Mirror over ``link`` all that there is until that is lost, or ``names`` until they are
        here.  Raises SessionError.
        """
        self.connected = True
        await self._transfers.begin()
        failure: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                beside = [
                    tasks.create_task(self._transfers.receive_all(link, tasks, heard)),
                    tasks.create_task(self._keep_saved()),
                    tasks.create_task(self.counting.keep_told(self._folder, self._transfers)),
                ]
                if names is not None:
                    await self._feed.get(names)
                    self.done = True
                elif isinstance(link, Link):
                    await self._feed.follow(link, heard)
                for task in beside:
                    task.cancel()
        except* SessionError as group:
            failure = _first(group)
        finally:
            self.connected = False
            self._transfers.end()
            await link.close()
        if failure is not None:
            raise failure

    def _name(self, names: frozenset[str]) -> None:
        """Know of pictures by their names alone: each is asked for, once and until it is here."""
        for name in self._records.images.keys() - names:
            self._feed.forget(name)
        for record in self._records.images.values():
            record.ended, record.refused = None, False
        self._records.mark = None
        self._transfers.again = self._every
        self._named = True

    # What is remembered

    def _gone(self, name: str) -> None:
        self._feed.gone(name)

    def _is_busy(self, name: str) -> bool:
        """Tell whether a picture's file is about to be deleted."""
        with contextlib.suppress(OSError):
            return self._removal.busy and self._removal.has(self._places.claim(name))
        return False

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
        self._feed.dirty = self._transfers.dirty = False
        self._holdings.journal.upkeep()
        if not self._named:  # or of a whole catalogue only these would be remembered
            self._records.save(self._holdings, self._target, mark=self._feed.mark)

    async def _keep_saved(self) -> None:
        waited = 0.0
        while True:
            await asyncio.sleep(SAVE_IDLE)
            waited += SAVE_IDLE
            dirty = self._feed.dirty or self._transfers.dirty
            if dirty and (waited >= SAVE_EVERY or not self._transfers.running):
                waited = 0.0
                try:
                    await asyncio.to_thread(self._save)
                except OSError as error:
                    self._transfers.complain("notes", f"what is here cannot be noted: {error}")


def names_of(addresses: Iterable[Address]) -> frozenset[str] | None:
    """Return the pictures that addresses of one sender name; None if it is all that it has.

    Raises AddressError if they are of several senders or of none, or if the sender has no list.
    """
    addresses = tuple(addresses)
    if len({address.sender for address in addresses}) != 1:
        raise AddressError("a mirror is of one sender")
    whole = next((address for address in addresses if address.image is None), None)
    if whole is None:
        return frozenset(address.picture for address in addresses)
    if whole.plain:
        raise AddressError(f"{whole} names no picture: there is no list of them over HTTP")
    return None


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
