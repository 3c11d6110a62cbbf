"""A mirror of what a sender has: a folder of its streams that follows it.

Every picture named N is kept as N.dfc, byte for byte what the sender has, or a beginning of that.
What is new at the sender is here as soon as the link allows: the first bytes of every picture
before the last ones of any.  Nothing is decoded, unless somebody wants to look at it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn, Self

from diffc_stream.errors import (
    DiffcError,
    LinkLost,
    PeerError,
    RemoteProtocolError,
    SessionError,
    Unauthorized,
)
from diffc_stream.session import (
    WHOLE,
    Catalogue,
    Code,
    End,
    Entry,
    Reason,
    Target,
    Terms,
)

from .access import NO_ACCESS, Access
from .address import Address
from .backoff import Backoff
from .kept import FileStream
from .link import MOST_ENTRIES, Arrivals, Link
from .places import SUFFIX, Place, Places, Unplaceable, blocks, size_of
from .records import Record, Records
from .rounds import FIRST, Rounds, end_of, round_of

AT_ONCE = 64
"""Streams received at once, if the sender does not want fewer ..."""
AT_ONCE_AT_FIRST = 16
"""... and before it has said so."""
URGENT = 1000.0
"""Weight of the first bytes of a picture beside the later ones of others."""
MOST_BYTES = 2**34
"""Of disk that one sender may fill."""
RETRY = 5.0
"""Seconds after which a picture that is refused for the moment is asked for again."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where a disk is full."""
RETRY_DISK = 60.0
"""Seconds after which a file that could not be written is tried again."""
SAVE_EVERY, SAVE_IDLE = 10.0, 0.5
"""Seconds between writings of what is remembered: while streams come, and while none does."""

logger = logging.getLogger("diffc_client")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """How far a picture has come."""

    name: str
    stream: Path
    picture: Path
    """Where it would be rendered to."""
    bytes: int
    complete: bool
    """There is no more of it, or no more is wanted."""


class _Full(OSError):
    """There is no room for more."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Reception:
    """A stream on its way."""

    name: str
    record: Record
    """As it was when it began; the sender may have taken the picture back since."""
    held: int = 0
    arrivals: Arrivals | None = None
    curtailed: bool = False

    def curtail(self) -> None:
        """Have it end where it is, for others to get their turn."""
        self.curtailed = True
        if self.arrivals is not None:
            self.arrivals.update(Target(bytes=max(1, self.held)), 1.0)


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
        every: float = 60.0,
        models: Iterable[str] = (),
        terms: Terms | None = None,
        backoff: Backoff | None = None,
        on_change: Callable[[Mirrored], object] | None = None,
    ) -> None:
        """Prepare to keep streams below ``folder``, each as far as ``target``.

        With ``delete`` what is no more at the sender is deleted here too.  No more than about
        ``most_bytes`` of disk are filled.  A sender that does not say what changes is asked
        ``every`` so many seconds.  ``models`` are fingerprints of the only ones that streams may
        need; none given, any will do.  ``on_change`` is called, on the event loop, whenever a
        picture's file has grown, every now and then, and at first for those that are here and have
        not been rendered as they are.
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
        self._records = Records()
        self._rounds = Rounds()
        self._running: dict[str, _Reception] = {}
        self._parked: set[str] = set()
        """Pictures that the sender will not send: not asked for again over the same link."""
        self._left_out: dict[str, Entry] = {}
        """Pictures that have no place here."""
        self._doubtful: set[str] = set()
        """Pictures that a catalogue under way has not confirmed yet."""
        self._at_once = AT_ONCE_AT_FIRST
        self._used = 0
        self._full = self._dirty = False
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Make the folder, and see what is there.  Raises OSError, if another mirror is too."""
        for mirrored in await asyncio.to_thread(self._load):
            if self._on_change is not None:
                self._on_change(mirrored)
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(self._save)
        finally:
            self._places.unlock()

    @property
    def folder(self) -> Path:
        """Where streams are kept."""
        return self._folder

    @property
    def pictures(self) -> int:
        """Pictures that the sender has, as far as is known."""
        return len(self._records.images)

    @property
    def missing(self) -> int:
        """Those of them of which more is wanted."""
        return sum(record.ended is None for record in self._records.images.values())

    async def run(self, address: Address, *, access: Access = NO_ACCESS) -> NoReturn:
        """Mirror the sender at ``address`` until cancelled, whatever it or the link does.

        Raises Unauthorized if it does not let anybody in with this ``access``, or SafetyError.
        """
        backoff = self._backoff.fresh()
        while True:
            try:
                link = await Link.dial(
                    address, models=self._models, terms=self._terms, access=access
                )
                await self.follow(link, heard=backoff.progress)
            except Unauthorized:
                raise  # it would not be let in later either
            except SessionError as error:
                logger.warning("%s: %s", address, error)
                await backoff.pause(error)

    async def follow(self, link: Link, *, heard: Callable[[], object] = lambda: None) -> NoReturn:
        """Mirror the sender at the other end of ``link`` until that is lost, and close it.

        ``heard`` is called when something has come.  Raises SessionError.
        """
        self._parked.clear()
        for name in self._records.images:
            self._wait(name)
        failure: BaseException = LinkLost("the link has ended")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._list(link, heard))
                tasks.create_task(self._receive_all(link, tasks, heard))
                tasks.create_task(self._keep_saved())
        except* SessionError as group:
            failure = group.exceptions[0]
        finally:
            self._running.clear()
            await link.close()
        raise _first(failure)

    # What the sender has

    async def _list(self, link: Link, heard: Callable[[], object]) -> None:
        pages = link.follow(self._records.mark)
        first = True
        while True:
            page = await _next(pages, None)
            heard()
            self._take(page, first=first)
            first = page.last
            if page.last:
                logger.info("%s: %d pictures, %d to get", self._folder, self.pictures, self.missing)
            if page.last and not link.following:
                with contextlib.suppress(TimeoutError):
                    await _next(pages, self._every)
                pages = link.follow(self._records.mark)

    def _take(self, page: Catalogue, *, first: bool) -> None:
        if first and not page.changes:
            self._doubtful = set(self._records.images)
            self._records.mark = None
        for entry in page.images:
            self._doubtful.discard(entry.name)
            self._offer(entry)
        for name in page.removed:
            self._withdraw(name)
        if page.last:
            for name in self._doubtful:
                self._withdraw(name)
            self._doubtful.clear()
        if len(self._records.images) + len(self._left_out) > MOST_ENTRIES:
            raise RemoteProtocolError(f"a catalogue of more than {MOST_ENTRIES} pictures")
        self._records.mark = page.mark or self._records.mark
        self._dirty = True
        self._changed.set()

    def _offer(self, entry: Entry) -> None:
        record = self._records.images.get(entry.name)
        if record is not None:
            if record.entry.thumbprint != entry.thumbprint:
                record.ended = None
                self._parked.discard(entry.name)
            record.entry = entry
        elif self._claim(entry):
            self._records.images[entry.name] = Record(entry=entry)
        self._wait(entry.name)

    def _claim(self, entry: Entry) -> bool:
        """Tell whether a picture has a place here."""
        name = entry.name
        try:
            rival = self._places.rival(name)
            if rival is not None and name == rival + SUFFIX:
                # A stream that is ready comes before the picture that it is of.
                if rival in self._records.images:
                    self._left_out[rival] = self._records.images[rival].entry
                if rival in self._running:
                    self._running[rival].curtail()
                self._forget(rival)
            self._places.claim(name)
        except Unplaceable as error:
            if name not in self._left_out:
                logger.warning("%s: not mirrored: %s", self._folder, error)
            self._left_out[name] = entry
            return False
        self._left_out.pop(name, None)
        return True

    def _withdraw(self, name: str) -> None:
        """A picture is no more at the sender."""
        self._left_out.pop(name, None)
        if name not in self._records.images:
            return
        if name in self._running:
            # Whoever receives it takes care of the rest.
            self._running[name].curtail()
            del self._records.images[name]
            self._rounds.discard(name)
        else:
            if self._delete:
                self._remove(name)
            self._forget(name)
        if name.removesuffix(SUFFIX) in self._left_out:
            self._offer(self._left_out[name.removesuffix(SUFFIX)])

    def _forget(self, name: str) -> None:
        self._records.images.pop(name, None)
        self._rounds.discard(name)
        self._places.release(name)

    def _remove(self, name: str) -> None:
        try:
            freed = self._places.claim(name).taken
            self._places.remove(name)
        except OSError as error:
            logger.warning("%s: %s cannot be deleted: %s", self._folder, name, error)
        else:
            logger.info("%s: %s deleted", self._folder, name)
            self._used -= freed
            self._full = False

    # What comes of it

    def _wait(self, name: str) -> None:
        """Have a picture wait for its turn, if more of it is wanted."""
        record = self._records.images.get(name)
        if record is None or record.ended or name in self._running or name in self._parked:
            return
        try:
            held = size_of(self._places.claim(name).growing)
        except Unplaceable as error:
            self._park(name, error, RETRY_DISK)
            return
        self._rounds.put(name, held=held, time=record.entry.time)
        self._changed.set()

    def _park(self, name: str, error: Exception, seconds: float | None) -> None:
        """Leave a picture alone for some time; None: until there is another one, or link."""
        logger.warning("%s: %s: %s", self._folder, name, error)
        self._parked.add(name)
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, self._unpark, name)

    def _unpark(self, name: str) -> None:
        self._parked.discard(name)
        self._wait(name)

    async def _receive_all(
        self, link: Link, tasks: asyncio.TaskGroup, heard: Callable[[], object]
    ) -> None:
        while True:
            self._changed.clear()
            self._at_once = min(AT_ONCE, link.streams or self._at_once)
            while len(self._running) < self._at_once and not self._full:
                name = self._rounds.take()
                if name is None:
                    break
                record = self._records.images[name]
                reception = self._running[name] = _Reception(name=name, record=record)
                tasks.create_task(self._receive(link, reception, heard))
            self._make_room()
            await self._changed.wait()

    def _make_room(self) -> None:
        """Have as many streams end as others wait that have less."""
        ending = sum(reception.curtailed for reception in self._running.values())
        for reception in sorted(self._running.values(), key=lambda one: one.held, reverse=True):
            if self._rounds.before(round_of(reception.held)) <= ending:
                break
            if not reception.curtailed:
                reception.curtail()
                ending += 1

    async def _receive(
        self, link: Link, reception: _Reception, heard: Callable[[], object]
    ) -> None:
        name, record = reception.name, reception.record
        thumbprint = record.entry.thumbprint
        retry: float | None
        try:
            place = self._places.claim(name)
            ended = await self._go_on(link, reception, place, heard)
            taken = place.taken
            place.settle(ended=ended is not None)
            self._used += place.taken - taken
        except _Full as error:
            self._pause(error)
        except PeerError as error:
            retry = max(error.after or 0.0, RETRY) if error.retry else None
            self._finish(reception)
            self._park(name, error, retry)
            return
        except SessionError:
            raise  # not this picture's fault, but the link's
        except OSError as error:
            if error.errno not in NO_ROOM:
                self._finish(reception)
                self._park(name, error, RETRY_DISK)
                return
            # Others would fare no better, and cost the link something each.
            self._pause(error)
            asyncio.get_running_loop().call_later(RETRY_DISK, self._resume)
        except DiffcError as error:
            self._finish(reception)
            self._park(name, error, RETRY_DISK)
            return
        else:
            if ended is not None and record.entry.thumbprint == thumbprint:
                record.ended, record.length = ended, size_of(place.stream)
            self._say(reception, record, place)
        self._finish(reception)

    def _pause(self, error: OSError) -> None:
        """Begin no more streams: there is no room for them."""
        if not self._full:
            logger.warning("%s: %s", self._folder, error.strerror or error)
        self._full = True

    def _resume(self) -> None:
        self._full = False
        self._changed.set()

    def _finish(self, reception: _Reception) -> None:
        name = reception.name
        if self._running.get(name) is reception:
            del self._running[name]
        if name not in self._records.images:  # it has gone from the sender meanwhile
            if self._delete:
                self._remove(name)
            self._forget(name)
        self._dirty = True
        self._wait(name)
        self._changed.set()

    def _say(self, reception: _Reception, record: Record, place: Place) -> None:
        if record.ended is not None:
            logger.info(
                "%s: %s, %d bytes: %s",
                self._folder,
                reception.name,
                record.length,
                record.ended.value,
            )
        if self._on_change is not None:
            self._on_change(_mirrored(record, place, reception.held))

    async def _go_on(
        self, link: Link, reception: _Reception, place: Place, heard: Callable[[], object]
    ) -> Reason | None:
        """Receive some of a stream, and return why no more of it is wanted; None if more is."""
        path = place.growing
        try:
            return await self._grow(link, reception, path, heard)
        except PeerError as error:
            if error.code != Code.PREFIX_MISMATCH:
                raise
        # It is another picture by now; the old one stays until this one is as good.
        logger.info("%s: %s is another by now", self._folder, reception.name)
        return await self._grow(link, reception, place.beside, heard, anew=True)

    async def _grow(
        self,
        link: Link,
        reception: _Reception,
        path: Path,
        heard: Callable[[], object],
        *,
        anew: bool = False,
    ) -> Reason | None:
        if anew:
            self._used -= blocks(size_of(path))
        # On this thread, since one that is told to stop meanwhile would leave a file locked.
        with _opened(path, anew=anew) as kept:
            reception.held = kept.length
            target, weight, bound = self._goal(kept.length)
            header = kept.header
            arrivals = reception.arrivals = link.open(
                reception.name,
                start=kept.length,
                prefix=kept.prefix,
                target=target,
                weight=weight,
                model=header.model if header else None,
            )
            if reception.curtailed:
                reception.curtail()
            try:
                end = await self._drain(arrivals, reception, kept, heard)
            finally:
                reception.arrivals = None
                arrivals.stop()
        # If it ended where it had to, for others, nobody knows what there is beyond.
        more = reception.curtailed or (bound is not None and kept.length >= bound)
        return None if end.reason is Reason.TARGET and more else end.reason

    def _goal(self, held: int) -> tuple[Target, float, int | None]:
        """Return how far a stream goes this time, its weight, and where it ends only for now.

        After its first bytes, where all can be received at once, the sender does what is right: it
        sends what gains most.
        """
        urgent = held < FIRST
        if not urgent and len(self._rounds) + len(self._running) <= self._at_once:
            return self._target, 1.0, None
        weight = URGENT if urgent else 1.0
        bound = end_of(round_of(held))
        wanted = self._target.bytes
        if wanted is not None and wanted <= bound:
            return self._target, weight, None
        return replace(self._target, bytes=bound), weight, bound

    async def _drain(
        self,
        arrivals: Arrivals,
        reception: _Reception,
        kept: FileStream,
        heard: Callable[[], object],
    ) -> End:
        while not isinstance(event := await arrivals.next(), End):
            length = kept.length + len(event.payload)
            grown = blocks(length) - blocks(kept.length)
            if self._used + grown > self._most_bytes:
                raise _Full(f"{self._used} bytes are as much as may be filled")
            kept.append(event.payload)
            self._used += grown
            reception.held = kept.length
            heard()
        return event

    # What is remembered

    def _load(self) -> list[Mirrored]:
        """Return what is to be rendered."""
        unseen = []
        self._places = Places(self._folder)
        self._places.lock()
        records = Records.load(self._places.folder, self._target)
        for name, record in tuple(records.images.items()):
            try:
                place = self._places.claim(name)
            except Unplaceable:
                # It will be said when the sender offers it.
                del records.images[name]
                records.mark = None
                continue
            if record.ended is not None and size_of(place.stream) != record.length:
                record.ended = None
            if self._on_change is not None and size_of(place.stream) and not place.rendered:
                unseen.append(_mirrored(record, place, size_of(place.stream)))
        self._records = records
        # All there is, for a sender must not have more by taking back what it has sent.
        self._used = self._places.taken()
        return unseen

    def _save(self) -> None:
        self._dirty = False
        # A catalogue that has not come wholly says nothing of what is no more.
        mark = None if self._doubtful else self._records.mark
        self._records.save(self._places.folder, self._target, mark=mark)

    async def _keep_saved(self) -> None:
        waited = 0.0
        while True:
            await asyncio.sleep(SAVE_IDLE)
            waited += SAVE_IDLE
            if self._dirty and (waited >= SAVE_EVERY or not self._running):
                waited = 0.0
                try:
                    await asyncio.to_thread(self._save)
                except OSError as error:
                    logger.warning("%s: what is here cannot be noted: %s", self._folder, error)


def _mirrored(record: Record, place: Place, held: int) -> Mirrored:
    return Mirrored(
        name=record.entry.name,
        stream=place.stream,
        picture=place.picture,
        bytes=held,
        complete=record.ended is not None,
    )


def _opened(path: Path, *, anew: bool) -> FileStream:
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = FileStream(path)
    if anew:
        kept.restart()
    return kept


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
