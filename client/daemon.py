"""``diffc-client run``: stays up, and keeps what its senders have."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import aclosing
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
from diffc_stream.picture import save_png
from diffc_stream.replacement import sweep
from diffc_stream.session import Terms

from .access import NO_ACCESS, Access
from .address import Address
from .backoff import Backoff
from .decoding import Decoders, Method
from .kept import FileStream, outdated
from .refiner import Refinement
from .sender import Sender, connect

AT_ONCE = 16
"""Streams received at once from one sender: they sharpen together."""

logger = logging.getLogger("diffc_client")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one picture of one sender is kept."""

    address: Address
    """Of the picture."""
    picture: Path
    """PNG, rewritten as the picture gets better."""
    stream: Path
    """Its stream, as far as it has come."""


class ReceiverDaemon:
    """Keeps pictures and their streams below a folder, for as long as it runs.

    Below ``folder`` every sender has a folder of its own, HOST_PORT, and in there a picture
    named N is kept as ``N.png``, rewritten as it gets better, and its stream as ``N.dfc``.  What
    is in the streams is never asked for again, after a restart either.
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
        on_picture: Callable[[Place, Refinement], None] | None = None,
        access: Access = NO_ACCESS,
    ) -> None:
        """Prepare to follow ``addresses``; one without a picture stands for all that sender has.

        Catalogues are asked for again ``every`` so many seconds.  ``on_picture`` is called, on
        the event loop, for every picture written.  Raises AddressError for an address without a
        picture where there is no catalogue: over plain HTTP.
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
        while images is None or not images <= done.keys():
            try:
                async with connect(
                    str(address),
                    decoders=self._decoders,
                    patience=self._backoff.patience,
                    terms=self._terms,
                    access=self._access,
                ) as sender:
                    backoff.progress()
                    await self._keep_up(sender, address, images, done)
            except* (DiffcError, OSError) as group:
                error = _first(group)
                logger.warning("%s: %s", address, error)
                await backoff.pause(error)

    async def _keep_up(
        self,
        sender: Sender,
        address: Address,
        images: frozenset[str] | None,
        done: dict[str, str],
    ) -> None:
        """Keep pictures; ``done`` are those that are complete, by name, with their thumbprints."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def keep(place: Place, name: str, thumbprint: str) -> None:
            if await self._keep(sender, place, name, gate):
                done[name] = thumbprint

        while images is None or not images <= done.keys():
            wanted = dict.fromkeys(sorted(images or ()), "")
            if images is None:
                wanted = {entry.name: entry.thumbprint for entry in await sender.catalogue()}
            async with asyncio.TaskGroup() as tasks:
                for name, thumbprint in wanted.items():
                    # A picture that was replaced under its name has another thumbprint.
                    if done.get(name) != thumbprint:
                        place = self._place(replace(address, image=name), name)
                        with bound_contextvars(image=name):
                            tasks.create_task(keep(place, name, thumbprint))
            if images is None or not images <= done.keys():
                await asyncio.sleep(self._every)

    def _place(self, address: Address, image: str) -> Place:
        home = self._folder / f"{address.host.replace(':', '-')}_{address.port}"
        return Place(address=address, picture=home / f"{image}.png", stream=home / f"{image}.dfc")

    async def _keep(
        self, sender: Sender, place: Place, image: str, gate: asyncio.Semaphore
    ) -> bool:
        """Receive a picture and return whether it is complete."""
        async with gate:
            try:
                await self._fetch(sender, place, image)
            except PeerError as error:
                logger.warning("%s: %s", place.address, error)
            except SessionError:
                raise  # not this picture's fault, but the link's
            except (DiffcError, OSError) as error:
                logger.warning("%s: %s", place.address, error)
            else:
                return True
        return False

    async def _fetch(self, sender: Sender, place: Place, image: str) -> None:
        place.picture.parent.mkdir(parents=True, exist_ok=True)
        with FileStream(place.stream) as kept:
            # Whoever has the stream is the only one to write the picture.
            sweep(place.picture)
            try:
                await self._refine(sender, place, image, kept)
            except (PeerError, StreamError) as error:
                if not kept.length or not outdated(error):
                    raise
                logger.warning("%s: what was kept is of no use: %s", place.address, error)
                kept.restart()
                await self._refine(sender, place, image, kept)

    async def _refine(self, sender: Sender, place: Place, image: str, kept: FileStream) -> None:
        async with aclosing(sender.open(image, render=self._render, kept=kept)) as refinements:
            async for refinement in refinements:
                await asyncio.to_thread(
                    save_png, place.picture, refinement.image, text=refinement.description
                )
                if self._on_picture is not None:
                    self._on_picture(place, refinement)


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
