"""A mirror of a sender: a folder that keeps a copy of the sender's streams and their changes.

A picture named N is kept as N.dfc, which is a prefix of the sender's stream, or all of it.  New
pictures arrive as soon as the link allows, the first bytes of every picture before the last bytes
of any.  The mirror decodes nothing unless rendering is on.  Files in the folder that it did not
write, or that another program has changed, stay as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NoReturn, Self

from diffc_stream.budget import moment
from diffc_stream.errors import AddressError, LinkLost, SessionError, Unauthorized
from diffc_stream.ledger import LOOK_AGAIN, Ledger
from diffc_stream.order import Order
from diffc_stream.session import WHOLE, Target, Terms
from diffc_stream.transport.backoff import Backoff

from ..remote.address import Address
from ..remote.credentials import NO_ACCESS, Access, TokenFile
from ..remote.http_ranges import RangeLink
from ..remote.links import AnyLink, dial
from ..remote.websocket import Link
from ..storage.shielded import shielded
from .catalogue_feed import CatalogueFeed
from .content import ASK
from .cooperative import cooperatively
from .owned_folder import MOST_BYTES, MOST_PICTURES, OwnedFolder
from .paths import Places, Unplaceable
from .progress import Mirrored, mirrored
from .removal import Removal
from .state import Records
from .tally import Counting
from .transfers import Transfers

SAVE_EVERY, SAVE_IDLE = 10.0, 0.5
"""Seconds between saves of the state: while streams are received, and otherwise."""

logger = logging.getLogger("diffc_client")

__all__ = ["Mirror", "Mirrored"]


class _Unaffordable(LinkLost):
    """The link was closed because the budget allows nothing more for now."""


class Mirror:
    """Mirrors one sender into one folder, over one link after the other.

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
        order: Order | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """Prepare to keep streams below ``folder``, each as far as ``target``.

        With ``delete``, pictures that the sender has removed are deleted here too.  The mirror uses
        about ``most_bytes`` bytes of disk at most, and keeps at most ``most_pictures`` pictures.
        Without ``linked`` the folder itself must not be a link.  A sender that does not send
        changes is asked again every ``every`` seconds.  ``models`` are the fingerprints of the
        models that streams may use; none accepts all.  ``on_change`` is called on the event loop
        when a picture's file has grown, at intervals, and at first for pictures whose rendering is
        outdated; ``on_received`` with numbers of received bytes.  While streams are received, the
        log reports progress every ``tell_every`` seconds.  Pictures are received in an ``order``,
        and as long as the ``ledger`` allows; there is no connection until it allows more.
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
        """Whether the sender is connected."""
        self._order = order
        self._ledger = ledger
        self._named = False
        """Whether single pictures are wanted, so that there is no catalogue to save."""
        self.done = False
        """Whether all of the single pictures that were wanted are complete."""
        self._records = Records()
        self.counting = Counting(self._records, target, every=tell_every)
        """Counts the pictures and bytes that are here and still to come."""

    async def __aenter__(self) -> Self:
        """Open the folder, or create it.  Raises OSError, also if another mirror uses it."""
        unseen = await asyncio.to_thread(self._load)
        self._transfers = Transfers(
            self._records,
            self._owned,
            self._target,
            on_change=self._on_change,
            on_gone=self._gone,
            is_busy=self._is_busy,
            on_received=self._on_received,
            on_needed=self._needed,
            order=self._order,
            ledger=self._ledger,
        )
        self._removal = Removal(self._owned, self._transfers)
        self._feed = CatalogueFeed(
            self._records,
            self._owned,
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
            if self._ledger is not None:
                await shielded(partial(self._ledger.save, last=True))
        finally:
            await shielded(self._owned.close)
            self._places.unlock()

    @property
    def folder(self) -> Path:
        """The mirror's folder."""
        return self._folder

    @property
    def pictures(self) -> int:
        """How many pictures of the sender are known."""
        return self.counting.pictures

    @property
    def missing(self) -> int:
        """How many of them are not complete yet."""
        return self._records.missing

    async def run(self, *addresses: Address, access: Access | TokenFile = NO_ACCESS) -> NoReturn:
        """Mirror a sender until cancelled, connecting again after every failure.

        ``addresses`` are of one sender: its own, or those of single pictures, which may also be on
        a file server.  Complete pictures are not asked for again.  Raises AddressError if the
        sender cannot have them, Unauthorized if the first connection is refused with this
        ``access``, or SafetyError.
        """
        names = names_of(addresses)
        self.done = False
        if names is not None:
            self._name(names)
        backoff = self._backoff.fresh()
        met = False
        while not self.done:
            link: AnyLink | None = None
            try:
                await self._until_affordable()
                link = await self._dial(addresses, await access.current())
                await self._follow(link, names, backoff.progress, leaving=True)
            except _Unaffordable:
                continue
            except SessionError as error:
                # A token that was accepted may be so again, once its file has been renewed.
                met = met or isinstance(link, Link) or (link is not None and link.met)
                if isinstance(error, Unauthorized) and not met:
                    raise
                logger.warning("%s: %s", addresses[0].sender, error)
                await backoff.pause(error)
        while True:
            await asyncio.Event().wait()

    async def _dial(self, addresses: tuple[Address, ...], access: Access) -> AnyLink:
        """Connect.  Raises SessionError."""
        if not addresses[0].plain:
            addresses = (addresses[0].sender,)
        return await dial(*addresses, access=access, models=self._models, terms=self._terms)

    async def follow(self, link: Link, *, heard: Callable[[], object] = lambda: None) -> NoReturn:
        """Mirror the sender at the other end of ``link`` until the link is lost, and close it.

        ``heard`` is called when something has arrived.  Raises SessionError.
        """
        await self._follow(link, None, heard)
        raise LinkLost("the link has ended")

    async def _follow(
        self,
        link: AnyLink,
        names: frozenset[str] | None,
        heard: Callable[[], object],
        *,
        leaving: bool = False,
    ) -> None:
        """Mirror all pictures over ``link`` until it is lost, or ``names`` until they are complete.

        With ``leaving``, leave when the budget allows nothing more.  Raises SessionError.
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
                if leaving and self._ledger is not None:
                    beside.append(tasks.create_task(self._leave_when_spent(self._ledger)))
                if names is not None:
                    await self._feed.get(names)
                    self.done = True
                elif not isinstance(link, RangeLink):
                    await self._feed.follow(link, heard)
                for task in beside:
                    task.cancel()
        except* SessionError as group:
            failure = _first(group)
        finally:
            self.connected = False
            self._transfers.end()
            await link.close()
        if (own := asyncio.current_task()) is not None and own.cancelling():
            # A task group of Python 3.11 swallows a cancellation if a task of its own fails at
            # the same time (github.com/python/cpython/issues/116720).
            raise asyncio.CancelledError
        if failure is not None:
            raise failure

    async def _until_affordable(self) -> None:
        """Wait until the budget allows something."""
        told = False
        while self._ledger is not None and (wait := self._ledger.wait()):
            if not told:
                told = True
                text = "%s: the budget (%s) allows more from %s on"
                when = moment(time.time() + wait)
                logger.info(text, self._folder, self._ledger.budget, when)
            await asyncio.sleep(min(wait, LOOK_AGAIN))

    async def _leave_when_spent(self, ledger: Ledger) -> NoReturn:
        while ledger.open:  # noqa: ASYNC110  (time closes it, too)
            await asyncio.sleep(SAVE_IDLE)
        raise _Unaffordable("the budget is used up for now")

    def _name(self, names: frozenset[str]) -> None:
        """Want single pictures, of which only the names are known."""
        for name in self._records.images.keys() - names:
            self._feed.forget(name)
        for record in self._records.images.values():
            record.ended, record.refused = None, False
        self._records.mark = None
        self._transfers.again = self._every
        self._named = True

    # The saved state

    def _gone(self, name: str) -> None:
        self._feed.gone(name)

    def _needed(self, name: str) -> None:
        """Get what a single picture starts from; a catalogue offers it by itself."""
        if self._named:
            self._feed.want_beginning(name)

    def _is_busy(self, name: str) -> bool:
        """Tell whether a picture's file is about to be deleted."""
        with contextlib.suppress(OSError):
            return self._removal.busy and self._removal.has(self._places.claim(name))
        return False

    def _load(self) -> list[Mirrored]:
        """Open the folder and load the state; return the pictures to render."""
        self._places = Places(self._folder, linked=self._linked)
        self._places.lock()
        try:
            self._owned = OwnedFolder(
                self._places, most_bytes=self._most_bytes, most_pictures=self._most_pictures
            )
            records = Records.load(self._owned, self._target)
            self._records = self.counting.records = records
            return self._unseen()
        except BaseException:
            self._places.unlock()
            raise

    def _unseen(self) -> list[Mirrored]:
        unseen, owned = [], self._owned
        for name, record in tuple(self._records.images.items()):
            try:
                place = self._places.claim(name)
                self._places.check(place)
            except Unplaceable:
                # This is reported when the sender offers the picture.
                del self._records.images[name]
                self._records.mark = None
                continue
            stream, picture = map(owned.relative, (place.stream, place.picture))
            if owned.journal.fresh:
                owned.adopt(stream, length=record.length if record.ended else None)
                owned.adopt(picture, length=None)
            size = owned.size(stream)
            record.held = size
            if record.ended is not None and size != record.length:
                record.ended = None
            known = owned.journal.get(stream)
            if known is not None and known[0].digest == ASK:
                record.ended = None
            if self._on_change is not None and known is not None and not place.rendered:
                unseen.append(mirrored(record, place, size, owned))
        return unseen

    def _save(self) -> None:
        self._feed.dirty = self._transfers.dirty = False
        self._owned.journal.upkeep()
        if not self._named:  # single pictures must not replace a saved catalogue
            self._records.save(self._owned, self._target, mark=self._feed.mark)

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
                    self._transfers.complain("notes", f"the state cannot be saved: {error}")


def names_of(addresses: Iterable[Address]) -> frozenset[str] | None:
    """Return the pictures that addresses of one sender name; None if one is of the whole sender.

    Raises AddressError if they are of several senders or of none, or if the sender has no
    catalogue.
    """
    addresses = tuple(addresses)
    if len({address.sender for address in addresses}) != 1:
        raise AddressError("a mirror is of one sender")
    whole = next((address for address in addresses if address.image is None), None)
    if whole is None:
        return frozenset(address.picture for address in addresses)
    if whole.plain:
        raise AddressError(f"{whole} names no picture: a mirror follows no list over HTTP")
    return None


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
