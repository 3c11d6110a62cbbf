"""Follows many senders: keeps what they have, and pictures of it that get better."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from structlog.contextvars import bound_contextvars

from diffc_stream.errors import (
    AddressError,
    DiffcError,
    PeerError,
    SessionError,
    StreamError,
)
from diffc_stream.picture import png_bytes
from diffc_stream.session import Code, Entry, Terms
from diffc_stream.transport.backoff import Backoff

from ..api.connection import Sender, connect
from ..decoding.decoders import Decoders, Method
from ..decoding.refiner import Refinement
from ..remote.address import Address
from ..remote.credentials import NO_ACCESS, Access
from ..storage.partial_stream import outdated
from ..storage.shielded import shielded
from .growing_file import GrowingStream, growing
from .log_limit import LogLimit
from .owned_folder import MOST_BYTES, MOST_PICTURES, Full, Holdings
from .paths import PICTURE_SUFFIX, SUFFIX, Place, Places
from .transfers import SCARCE

AT_ONCE = 16
"""Streams received at once from one sender: they sharpen together."""

logger = logging.getLogger("diffc_client")


class ReceiverDaemon:
    """Keeps pictures and their streams below a folder, for as long as it runs.

    Below ``folder`` every sender has a folder of its own, HOST_PORT, and in there a picture
    named N is kept as ``N.png``, rewritten as it gets better, and its stream as ``N.dfc``.  What
    is in the streams is never asked for again, after a restart either.  What others have put there,
    or changed there, is theirs, and stays.
    """

    def __init__(
        self,
        addresses: Iterable[Address],
        folder: Path,
        decoders: Decoders,
        *,
        render: Method = "mmse",
        every: float = 60.0,
        terms: Terms | None = None,
        backoff: Backoff | None = None,
        on_picture: Callable[[str, Place, Refinement], None] | None = None,
        access: Access = NO_ACCESS,
        most_bytes: int = MOST_BYTES,
        most_pictures: int = MOST_PICTURES,
    ) -> None:
        """Prepare to follow ``addresses``; one without a picture stands for all that sender has.

        Of one sender no more than about ``most_bytes`` of disk are filled, and no more than
        ``most_pictures`` are kept.  Catalogues are asked for again ``every`` so many seconds.
        ``on_picture`` is called, on the event loop, with the name of every picture written.  Raises
        AddressError for an address without a picture where there is no catalogue: over plain HTTP.
        """
        self._wanted = _by_sender(addresses)
        self._folder = folder
        self._decoders = decoders
        self._render: Method = render
        self._every = every
        self._terms = terms or Terms()
        self._backoff = backoff or Backoff(patience=None)
        self._on_picture = on_picture
        self._access = access
        self._most_bytes = most_bytes
        self._most_pictures = most_pictures
        self._complaints = LogLimit(logger)

    async def run(self) -> None:
        """Run until cancelled; nothing that a sender, a link or a disk does ends it."""
        async with asyncio.TaskGroup() as tasks:
            for sender, images in self._wanted.items():
                with bound_contextvars(sender=str(sender)):
                    tasks.create_task(self._follow(sender, images))
            await asyncio.Event().wait()

    async def _follow(self, address: Address, images: frozenset[str] | None) -> None:
        """Keep pictures of one sender, or all it has, through thick and thin."""
        done: dict[str, str] = {}
        backoff = self._backoff.fresh()
        holdings: Holdings | None = None
        async with AsyncExitStack() as stack:
            while images is None or not images <= done.keys():
                try:
                    async with connect(
                        address,
                        decoders=self._decoders,
                        patience=self._backoff.patience,
                        terms=self._terms,
                        access=self._access,
                    ) as sender:
                        backoff.progress()
                        if holdings is None:
                            holdings = await stack.enter_async_context(self._holdings(address))
                        await self._keep_up(sender, _Home(address, holdings), images, done)
                except* (DiffcError, OSError) as group:
                    error = _first(group)
                    logger.warning("%s: %s", address, error)
                    await backoff.pause(error)

    @asynccontextmanager
    async def _holdings(self, address: Address) -> AsyncIterator[Holdings]:
        """Keep a sender's folder to ourselves.  Raises OSError."""
        below = f"_{address.base.replace('/', '_')}" if address.base else ""
        folder = self._folder / f"{address.host.replace(':', '-')}_{address.port}{below}"
        # On this thread, since one that is told to stop meanwhile would leave it locked.
        self._folder.mkdir(parents=True, exist_ok=True)
        places = Places(folder, doubled=True, linked=False)
        places.lock()
        try:
            holdings = Holdings(
                places, most_bytes=self._most_bytes, most_pictures=self._most_pictures
            )
            try:
                if holdings.journal.fresh:
                    holdings.adopt_all(SUFFIX, PICTURE_SUFFIX)
                yield holdings
            finally:
                await shielded(holdings.close)
        finally:
            places.unlock()

    async def _keep_up(
        self, sender: Sender, home: _Home, images: frozenset[str] | None, done: dict[str, str]
    ) -> None:
        """Keep pictures; ``done`` are those that are complete, by name, with their thumbprints."""
        while images is None or not images <= done.keys():
            if images is None:
                await self._keep_listed(sender, home, done)
            else:
                wanted = dict.fromkeys(sorted(images), "")
                await self._keep_all(sender, home, _each(wanted, done), done)
            with suppress(OSError):
                await asyncio.to_thread(home.holdings.journal.upkeep)
            if images is None or not images <= done.keys():
                await asyncio.sleep(self._every)

    async def _keep_listed(self, sender: Sender, home: _Home, done: dict[str, str]) -> None:
        """Keep all that a sender offers, while it is still telling what that is."""
        found: asyncio.Queue[Sequence[Entry] | None] = asyncio.Queue()
        wanted: dict[str, str] = {}

        async def listed() -> None:
            await sender.catalogue(found.put_nowait)
            found.put_nowait(None)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(listed())
            chosen = self._chosen(found, wanted, done, home)
            await self._keep_all(sender, home, chosen, done)
        for name in done.keys() - wanted.keys():
            del done[name]

    async def _chosen(
        self,
        found: asyncio.Queue[Sequence[Entry] | None],
        wanted: dict[str, str],
        done: Mapping[str, str],
        home: _Home,
    ) -> AsyncGenerator[tuple[str, str], None]:
        """Yield what is to be received of what is found, and put what is wanted of it."""
        beyond = set()
        while (entries := await found.get()) is not None:
            for entry in entries:
                if entry.name not in wanted and len(wanted) >= self._most_pictures:
                    beyond.add(entry.name)
                    continue
                if wanted.get(entry.name) == entry.thumbprint:
                    continue  # told a second time
                wanted[entry.name] = entry.thumbprint
                # A picture that was replaced under its name has another thumbprint.
                if done.get(entry.name) != entry.thumbprint:
                    yield entry.name, entry.thumbprint
        if beyond:
            most = f"{len(wanted)} pictures are as many as are kept; {len(beyond)} are left out"
            self._complaints.say("pictures", "%s: %s", home.address, most)

    async def _keep_all(
        self,
        sender: Sender,
        home: _Home,
        chosen: AsyncGenerator[tuple[str, str], None],
        done: dict[str, str],
    ) -> None:
        """Keep pictures, which come with what ``done`` is to say of them."""
        gate = asyncio.Semaphore(AT_ONCE)
        full = asyncio.Event()

        async def keep(name: str, thumbprint: str) -> None:
            try:
                with bound_contextvars(image=name):
                    if await self._keep(sender, home, name, thumbprint, full):
                        done[name] = thumbprint
            finally:
                gate.release()

        async with asyncio.TaskGroup() as tasks, aclosing(chosen):
            async for name, thumbprint in chosen:
                # Waited for here, so that there are no more tasks than streams.
                await gate.acquire()
                if full.is_set():
                    break
                tasks.create_task(keep(name, thumbprint))

    async def _keep(
        self, sender: Sender, home: _Home, image: str, thumbprint: str, full: asyncio.Event
    ) -> bool:
        """Receive a picture and return whether there is no more of it; set ``full`` if none can be.

        One that the sender cannot read has none, as long as its ``thumbprint``, if known, is this.
        """
        try:
            place = await asyncio.to_thread(home.place, image)
            await self._fetch(sender, home, place, image)
        except PeerError as error:
            self._complain("pictures", home, f"{image}: {error}")
            return error.code == Code.UNREADABLE_IMAGE and thumbprint != ""
        except SessionError:
            raise  # not this picture's fault, but the link's
        except (DiffcError, OSError) as error:
            if isinstance(error, Full) or getattr(error, "errno", None) in SCARCE:
                full.set()  # others would fare no better
                self._complaints.say("the disk", "%s: %s", home.holdings.folder, error, most=1)
            else:
                self._complain(type(error).__name__, home, f"{image}: {error}")
        else:
            return True
        finally:
            # Names that come and go are not remembered.
            home.holdings.places.release(image)
        return False

    def _complain(self, kind: str, home: _Home, error: object) -> None:
        self._complaints.say(kind, "%s/%s", home.address, error)

    async def _fetch(self, sender: Sender, home: _Home, place: Place, image: str) -> None:
        holdings = home.holdings
        async with growing(holdings, holdings.relative(place.stream)) as kept:
            try:
                await self._refine(sender, holdings, place, image, kept)
            except (PeerError, StreamError) as error:
                if not kept.length or not outdated(error):
                    raise
                text = f"what was kept is of no use: {error}"
                address = replace(home.address, image=image)
                self._complaints.say("replaced pictures", "%s: %s", address, text)
                await shielded(kept.restart)
                await self._refine(sender, holdings, place, image, kept)

    async def _refine(
        self,
        sender: Sender,
        holdings: Holdings,
        place: Place,
        image: str,
        kept: GrowingStream,
    ) -> None:
        picture = holdings.relative(place.picture)
        async with aclosing(sender.open(image, render=self._render, kept=kept)) as refinements:
            async for refinement in refinements:
                await asyncio.to_thread(_write, holdings, picture, refinement)
                if self._on_picture is not None:
                    self._on_picture(image, place, refinement)


@dataclass(frozen=True, slots=True)
class _Home:
    """Where a sender's pictures are kept."""

    address: Address
    holdings: Holdings

    def place(self, image: str) -> Place:
        """Return where one is.  Raises Unplaceable."""
        place = self.holdings.places.claim(image)
        self.holdings.places.check(place)
        return place


def _write(holdings: Holdings, picture: str, refinement: Refinement) -> None:
    data = png_bytes(refinement.image, refinement.description, refinement.metadata)
    holdings.replace(picture, data)


async def _each(
    wanted: Mapping[str, str], done: Mapping[str, str]
) -> AsyncGenerator[tuple[str, str], None]:
    for name, thumbprint in wanted.items():
        if done.get(name) != thumbprint:
            yield name, thumbprint


def _by_sender(addresses: Iterable[Address]) -> dict[Address, frozenset[str] | None]:
    """Return the pictures wanted of each sender, None meaning all: no file is kept twice."""
    wanted: dict[Address, frozenset[str] | None] = {}
    for address in addresses:
        known = wanted.setdefault(address.sender, frozenset())
        if address.image is None and address.plain:
            raise AddressError(f"{address} names no picture: there is no list of them over HTTP")
        if address.image is None or known is None:
            wanted[address.sender] = None
        else:
            wanted[address.sender] = known | {address.image}
    return wanted


def _first(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
