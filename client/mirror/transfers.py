"""Receives a mirror's streams: many at once, in rounds, the newest first."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Callable
from functools import partial
from operator import itemgetter

from diffc_stream.errors import DiffcError, PeerError, SessionError
from diffc_stream.ledger import Ledger
from diffc_stream.order import Order
from diffc_stream.session import Code, End, Reason, Target

from ..remote.http_ranges import RangeLink
from ..remote.links import AnyLink
from ..storage.shielded import shielded
from .cooperative import cooperatively
from .deferred import Deferred
from .goal import Goal, Goals, Need
from .growing_file import GrowingStream, growing
from .log_limit import LogLimit
from .owned_folder import Full, OwnedFolder
from .paths import Place, Unplaceable
from .progress import Mirrored, mirrored
from .scheduler import TransferScheduler, group_of
from .starts import Starts
from .state import Record, Records
from .transfer import Incoming, Transfer, ask
from .versions import growing_version, new_version, settle

AT_ONCE = 64
"""Streams received at once, if the sender does not allow fewer ..."""
AT_ONCE_NEWEST = 2
"""... or if the newest come first in all, so that they do not share the link with all others ..."""
AT_ONCE_AT_FIRST = 16
"""... and before it has said how many it allows."""
RETRY = 5.0
"""Seconds after which to ask again for a picture that the sender refuses for now."""
SCARCE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors that would be the same for all other pictures: no space, files or memory left."""
RETRY_DISK = 60.0
"""Seconds after which to try again to write a file."""

logger = logging.getLogger("diffc_client")


class Transfers:
    """Receives the pictures in the records up to the target, over one link after the other."""

    def __init__(
        self,
        records: Records,
        owned: OwnedFolder,
        target: Target,
        *,
        on_change: Callable[[Mirrored], object] | None,
        on_gone: Callable[[str], object],
        is_busy: Callable[[str], bool],
        on_received: Callable[[int], object] | None = None,
        on_needed: Callable[[str], object] = lambda _: None,
        order: Order | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        """Receive each picture up to ``target``, in an ``order``, as far as ``ledger`` allows.

        ``on_change`` is called for pictures that have grown, ``on_gone`` for those that were
        removed from the records while they were received, and ``on_received`` with numbers of
        received bytes.  ``on_needed`` is called for pictures that others start from, and that are
        not in the records.  Pictures that ``is_busy`` names are not started.
        """
        self._records = records
        self._owned = owned
        self._on_change = on_change
        self._on_gone = on_gone
        self._is_busy = is_busy
        self._on_received, self._on_needed = on_received, on_needed
        self.starts = Starts(records)
        """What the streams start from."""
        self.again: float | None = None
        """Seconds after which to ask again for a picture that the sender does not send, also over
        the same link; None waits until the picture changes."""
        self._rounds = TransferScheduler(order)
        self._goals = Goals(target, self._rounds.order, ledger)
        self._running: dict[str, Transfer] = {}
        self._parking = Deferred(self.wait)
        """Pictures that the sender does not send, and that are not asked for again yet."""
        self._told: set[str] = set()
        """Pictures whose places have foreign files, as was logged."""
        self._at_once = AT_ONCE_AT_FIRST
        self._full = False
        self._wary = False
        """Whether a file could not be written: bytes are asked for only once there is a file."""
        self._complaints = LogLimit(logger, clock=asyncio.get_running_loop().time)
        self.changed = asyncio.Event()
        """Set when there may be a stream to start."""
        self.finished = asyncio.Event()
        """Set when a stream has ended, for any reason."""
        self.dirty = False
        """Whether the records have changed since they were saved."""

    def __contains__(self, name: str) -> bool:
        return name in self._running

    @property
    def running(self) -> int:
        """How many streams are being received."""
        return len(self._running)

    @property
    def displaced(self) -> int:
        """How many pictures are not kept because foreign files have their places."""
        return len(self._told)

    async def begin(self) -> None:
        """Queue all wanted pictures for a new link."""
        self._parking.clear()
        async for name in cooperatively(tuple(self._records.images)):
            self.wait(name)

    def end(self) -> None:
        """Drop all streams, because the link is lost."""
        self._running.clear()

    def close(self) -> None:
        """Stop trying again."""
        self._parking.clear()

    def wait(self, name: str) -> None:
        """Queue a picture, if more of it is wanted."""
        record = self._records.images.get(name)
        if record is None or record.ended or record.refused:
            return
        if name in self._running or name in self._parking:
            return
        if self._is_busy(name):
            return
        try:
            held = self._owned.noted(self._owned.places.claim(name))
        except Unplaceable as error:
            self._park(name, error, RETRY_DISK)
            return
        self._rounds.put(name, held=held, time=record.entry.time)
        self.changed.set()

    def renew(self, name: str) -> None:
        """Try a picture again, because it has changed."""
        self._parking.discard(name)

    def discard(self, name: str) -> None:
        """Take a picture off the queue."""
        self._rounds.discard(name)
        self._parking.discard(name)
        self._told.discard(name)

    def curtail(self, name: str) -> None:
        """Let a stream end where it is."""
        if name in self._running:
            self._running[name].curtail()

    def make_room(self) -> None:
        """Go on, because files were deleted."""
        self._full = False
        self.changed.set()

    def complain(self, kind: str, error: object) -> None:
        """Log a warning, at a limited rate."""
        self._complaints.say(kind, "%s: %s", self._owned.folder, error)

    async def receive_all(
        self, link: AnyLink, tasks: asyncio.TaskGroup, heard: Callable[[], object]
    ) -> None:
        """Receive until cancelled.  Tasks in ``tasks`` raise SessionError."""
        while True:
            self.changed.clear()
            most = AT_ONCE_NEWEST if self._rounds.order.newest else AT_ONCE
            self._at_once = min(most, link.streams or self._at_once)
            while len(self._running) < self._at_once and not self._full and self._goals.affordable:
                name = self._rounds.take()
                if name is None:
                    break
                record = self._records.images[name]
                transfer = self._running[name] = Transfer(name=name, record=record)
                tasks.create_task(self._receive(link, transfer, heard))
            self._curtail_some()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._goals.turn()):
                    await self.changed.wait()

    def _park(self, name: str, error: Exception, seconds: float | None) -> None:
        """Defer a picture for ``seconds``; None is until it changes, or until another link."""
        self._parking.park(name, seconds)
        if not isinstance(error, Unplaceable):
            self.complain("pictures", f"{name}: {error}")
        elif name not in self._told:
            self._told.add(name)
            self.complain("files that are not ours", f"{name}: {error}")

    def _curtail_some(self) -> None:
        """Preempt one stream for each waiting picture that comes before it; outside the budget's
        windows, all."""
        ending = sum(transfer.curtailed for transfer in self._running.values())
        running, order = self._running.values(), self._rounds.order
        groups = [(group_of(order, one.name, one.held), one.held, one) for one in running]
        for place, _, transfer in sorted(groups, key=itemgetter(0, 1), reverse=True):
            if self._rounds.before(place) <= ending and not self._goals.closed:
                break
            if not transfer.curtailed:
                transfer.curtail()
                ending += 1

    async def _receive(
        self, link: AnyLink, transfer: Transfer, heard: Callable[[], object]
    ) -> None:
        name, record = transfer.name, transfer.record
        thumbprint = record.entry.thumbprint
        retry: float | None = RETRY_DISK
        try:
            place = transfer.place = self._owned.places.claim(name)
            ended = await self._go_on(link, transfer, place, heard)
            settled = partial(settle, self._owned, place, ended=ended is not None)
            length, replaced = await asyncio.to_thread(settled)
        except PeerError as error:
            retry = max(error.after or 0.0, RETRY) if error.retry else self.again
            # Without a thumbprint, a replaced picture could not be told from this one.
            if error.code == Code.UNREADABLE_IMAGE and thumbprint == record.entry.thumbprint != "":
                record.refused = True
            self._finish(transfer, error, retry)
        except SessionError:
            raise  # the link has failed, not this picture
        except Full as error:
            self._pause(error)
            self._finish(transfer)
        except OSError as error:
            self._wary = True
            if error.errno not in SCARCE:
                self._finish(transfer, error, retry)
                return
            # All others would fail too, after using the link for nothing.
            self._pause(error)
            asyncio.get_running_loop().call_later(RETRY_DISK, self.make_room)
            self._finish(transfer)
        except DiffcError as error:
            self._finish(transfer, error, retry)
        else:
            same = record.entry.thumbprint == thumbprint
            if ended is not None and same and self.starts.enough(name, ended, length):
                record.ended = ended
                record.length = length
            for other in self.starts.outdated(name) if replaced else ():
                self.renew(other)
                self.wait(other)
            self._say(transfer, record, place)
            self._finish(transfer)

    async def _look_back(self, link: AnyLink, transfer: Transfer, kept: GrowingStream) -> None:
        """Want what a stream starts from, once its header is there."""
        header = await shielded(lambda: kept.header)
        if header is not None:
            transfer.looked_back = self.dirty = True
            start = self.starts.note(transfer.name, header, files=isinstance(link, RangeLink))
            if start is not None:
                if not self.starts.want(start):
                    self._on_needed(start)
                self.wait(start)

    def _pause(self, error: OSError) -> None:
        """Start no more streams, because the disk is full."""
        if not self._full:
            facts = self._owned.folder, error.strerror or error
            self._complaints.say("the disk", "%s: %s", *facts, most=1)
        self._full = True

    def _finish(
        self, transfer: Transfer, error: Exception | None = None, retry: float | None = None
    ) -> None:
        name = transfer.name
        if self._running.get(name) is transfer:
            del self._running[name]
        if name not in self._records.images:  # the sender has removed it meanwhile
            self._on_gone(name)
        elif error is not None:
            self._park(name, error, retry)
        self.dirty = True
        self.wait(name)
        self.changed.set()
        self.finished.set()

    def _say(self, transfer: Transfer, record: Record, place: Place) -> None:
        self._told.discard(transfer.name)
        if record.ended is not None:
            facts = (self._owned.folder, transfer.name, record.length, record.ended.value)
            logger.info("%s: %s, %d bytes: %s", *facts)
        if self._on_change is not None:
            self._on_change(mirrored(record, place, transfer.held, self._owned))

    def _show(self, transfer: Transfer, kept: GrowingStream) -> None:
        """Report a better picture, unless its file still grows beside an older version."""
        place, owned = transfer.place, self._owned
        if self._on_change is None or place is None:
            return
        if kept.relative == owned.relative(place.stream):
            self._on_change(mirrored(transfer.record, place, transfer.held, owned))

    async def _go_on(
        self, link: AnyLink, transfer: Transfer, place: Place, heard: Callable[[], object]
    ) -> Reason | None:
        """Receive some of a stream; return why it has ended, None if more is wanted."""
        relative = await asyncio.to_thread(growing_version, self._owned, place)
        try:
            return await self._grow(link, transfer, relative, heard)
        except PeerError as error:
            if error.code != Code.PREFIX_MISMATCH:
                raise
            known = self._owned.journal.get(relative)
            if known is not None and not known[0].proven:
                raise await asyncio.to_thread(self._owned.occupied, relative) from error
        # The picture has been replaced; the old stream stays until the new one is as long.
        logger.info("%s: %s has been replaced", self._owned.folder, transfer.name)
        beside = await asyncio.to_thread(new_version, self._owned, place)
        return await self._grow(link, transfer, beside, heard, anew=True)

    async def _grow(
        self,
        link: AnyLink,
        transfer: Transfer,
        relative: str,
        heard: Callable[[], object],
        *,
        anew: bool = False,
    ) -> Reason | None:
        async with growing(self._owned, relative, anew=anew) as kept:
            transfer.held = transfer.record.held = transfer.shown = kept.length
            held = max(kept.length, kept.doubtful)
            at_once = len(self._rounds) + len(self._running) <= self._at_once
            alone = len(self._records.images) <= 1
            need = Need(least=self.starts.least(transfer.name), aside=transfer.record.aside)
            wanted = self._goals.of(held, link, alone=alone, all_at_once=at_once, need=need)
            async with self._goals.paid(wanted, held, transfer) as goal:
                if goal is None:
                    return None
                if self._wary:
                    await shielded(kept.prepare)
                end = await self._ask(link, transfer, kept, goal, heard)
            if kept.doubtful and end.reason is not Reason.TARGET:
                # The file is longer than the whole stream, so it is not of this stream.
                raise await asyncio.to_thread(self._owned.occupied, relative)
            await shielded(kept.confirm)
        # A stream that ended for others' turns may have more bytes.
        more = transfer.curtailed or goal.raised
        more = more or (goal.bound is not None and kept.length >= goal.bound)
        return None if end.reason is Reason.TARGET and more else end.reason

    async def _ask(
        self,
        link: AnyLink,
        transfer: Transfer,
        kept: GrowingStream,
        goal: Goal,
        heard: Callable[[], object],
    ) -> End:
        """Receive a stream as far as ``goal``."""
        transfer.bounded = goal.bound is not None
        name, target, weight = transfer.name, goal.target, goal.weight
        incoming = transfer.incoming = await ask(link, name, kept, target, weight)
        if transfer.curtailed:
            transfer.curtail()
        try:
            return await self._drain(link, incoming, transfer, kept, heard)
        finally:
            transfer.incoming = None
            incoming.stop()

    async def _drain(
        self,
        link: AnyLink,
        incoming: Incoming,
        transfer: Transfer,
        kept: GrowingStream,
        heard: Callable[[], object],
    ) -> End:
        while True:
            # Bytes that arrive while the disk writes are written together.
            data, end = await incoming.several()
            if data:
                transfer.received += len(data)
                await shielded(partial(kept.append, data))
                if self._on_received is not None:
                    self._on_received(len(data))
                transfer.held = transfer.record.held = 0 if kept.doubtful else kept.length
                if end is None and transfer.much_grown():
                    self._show(transfer, kept)
            if not transfer.looked_back:
                await self._look_back(link, transfer, kept)
            heard()
            if end is not None:
                return end
