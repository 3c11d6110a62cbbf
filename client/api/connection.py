"""A connection to a sender, from which programs get pictures that become better and better.

    async with connect("ws://localhost:8765") as sender:
        async for refinement in sender.open("coffee.jpg", bpp=0.4):
            window.show(refinement.image)
            if refinement.predicted_psnr > 30:
                break                                  # good enough: this tells the sender to stop

A link that breaks is made again, and bytes that have arrived are not asked for again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Unpack

from diffc_stream.container import Header
from diffc_stream.container.grammar import MOST_HEADER
from diffc_stream.errors import (
    DiffcError,
    LinkLost,
    PeerError,
    SessionError,
    UnknownModel,
)
from diffc_stream.session import Code, Entry, Reason, Region, Target, TargetOptions, Terms
from diffc_stream.transport.backoff import Backoff
from diffc_stream.transport.websocket import OPENING

from ..decoding.decoders import Decoders, Method, ModelDecoders, decoder_finding
from ..decoding.header import header_of
from ..decoding.refiner import Refinement, Refiner
from ..remote.address import Address
from ..remote.credentials import NO_ACCESS, Access
from ..remote.links import AnyLink, dial
from ..storage.partial_stream import Kept, MemoryStream
from ..storage.references import BEGINNING, Beginnings
from .delivery import Delivery
from .demand import Demand, Wish
from .exchange import Deliver, Feed, ask, drain, refined
from .lasting_link import CLOSED, LastingLink
from .regions import Part, Regions

LEAST_OPENING = 20.0
"""Seconds that a connection may take to open, even if ``patience`` is less."""

AT_ONCE = 100.0
"""Weight of what a stream starts from, and of a region, beside the picture's stream."""

logger = logging.getLogger("diffc_client")


@contextlib.asynccontextmanager
async def connect(
    url: str | Address,
    *,
    decoders: Decoders | None = None,
    patience: float | None = 60.0,
    terms: Terms | None = None,
    token: str | None = None,
    ca: Path | None = None,
    access: Access | None = None,
    cache: Path | None = None,
    plain: bool = False,
) -> AsyncIterator[Sender]:
    """Connect to the sender at ``url``, ``ws://HOST[:PORT]``.

    ``http://`` and ``https://`` are any web servers that have streams as files.  There a picture is
    opened by the full name of its stream, with ``.dfc``.  A folder that ``diffc publish`` wrote has
    a catalogue, and its pictures are opened by their names; its address ends with a slash.
    ``mqtt://HOST/PREFIX`` and ``mqtts://`` are brokers to which a sender publishes.

    ``decoders`` are by default :class:`ModelDecoders` with the installed models.  A link that
    breaks later is made again, until nothing has arrived for ``patience`` seconds (None: for ever).
    ``terms`` may set a larger window than 8 kB, for links with a high rate and a long delay.

    ``wss://`` and ``https://`` use TLS, and the sender's certificate has to be signed by an
    authority in the file ``ca``, or by default by one that the system trusts.  ``token``
    authenticates to senders that require one; it is sent unencrypted to this machine only.
    ``access`` replaces both, and can hold tokens for several hosts.

    Pictures of a fixed camera may start from the one before, which is then asked for too, as far as
    it is needed.  ``cache`` is a folder that keeps such beginnings, as the command ``get`` does.
    With ``plain``, senders send streams that start from no other picture.

    Raises AddressError, LinkLost if the sender cannot be reached, RemoteProtocolError if it speaks
    another version or its certificate is not valid, Unauthorized if it requires another token or
    this one would travel unencrypted, SafetyError, UnreadableModel.

    >>> async with connect("ws://localhost:8765") as sender:
    ...     print(await sender.images())
    """
    address = url if isinstance(url, Address) else Address.parse(url)
    if decoders is None:
        decoders = await asyncio.to_thread(ModelDecoders.load)
    access = access or Access.of(token, ca)
    backoff = Backoff(patience=patience)
    sender = Sender(address, decoders, backoff, terms or Terms(), access, cache=cache, plain=plain)
    try:
        await sender.dial()
        yield sender
    finally:
        await sender.close()


class Sender:
    """A connection to a sender; see :func:`connect`."""

    def __init__(
        self,
        address: Address,
        decoders: Decoders,
        backoff: Backoff,
        terms: Terms,
        access: Access = NO_ACCESS,
        *,
        cache: Path | None = None,
        plain: bool = False,
    ) -> None:
        self._given = address.image
        """The picture in the given address, before the sender said which part of it is its path."""
        self._access = access
        self._decoders = decoders
        self._backoff = backoff
        self._terms = terms
        self._plain = plain
        self._link = LastingLink(address, self._dial)
        # One thread: pictures of several streams take turns, because computing two at once would
        # make both late.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="decoder")
        self._beginnings = Beginnings(
            lambda image, kept, size: self.receive(image, kept, weight=AT_ONCE, bytes=size),
            address=lambda image: replace(self._link.address, image=image or None),
            cache=cache,
        )

    async def images(self) -> list[str]:
        """Return the names of all pictures that the sender offers.

        Raises LinkLost when ``patience`` runs out, AddressError over plain HTTP.

        >>> await sender.images()
        ['coffee.jpg', 'harbour/crane.png']
        """
        return [entry.name for entry in await self.catalogue()]

    async def catalogue(
        self, told: Callable[[Sequence[Entry]], object] | None = None
    ) -> list[Entry]:
        """Return the catalogue, sorted by name: name, size, time and thumbprint of each picture.

        A large catalogue takes a while over a slow link: ``told`` is called with each part as it
        arrives, the newest pictures first, and from the start again if the link breaks.

        >>> for entry in await sender.catalogue():
        ...     print(entry.name, entry.size, entry.time, entry.thumbprint)
        """
        backoff = self._backoff.fresh()
        while True:
            try:
                return await (await self.dial()).catalogue(told)
            except LinkLost as error:
                await self._pause(backoff, error)

    def open(
        self,
        image: str,
        *,
        weight: float = 1.0,
        render: Method = "mmse",
        previews: Method | None = None,
        kept: Kept | None = None,
        **target: Unpack[TargetOptions],
    ) -> Delivery:
        """Stream a picture; iterate over its refinements, each better, until it is complete.

        It is complete after ``bytes`` bytes or ``bpp`` bits per pixel, when it has all the detail
        that a longer side of ``side`` pixels can show, when the sender predicts ``psnr`` dB, or
        when the sender has nothing better.  A gain in its quality counts ``weight`` times as much
        as one in another picture of the same sender; :meth:`Delivery.update` changes all of these
        while it streams.

        Leaving the loop early stops the stream; at most one more window arrives then.  If showing a
        refinement takes longer than receiving the next, those in between are left out.  All but the
        last are rendered by ``previews``, if given.  Bytes that ``kept`` holds, if given, are not
        asked for again, and new ones are added to it.

        Iterating raises UnknownImage, another PeerError, LinkLost when ``patience`` runs out,
        UnknownModel, CorruptStream, or NothingDecodable if the target is too small for any picture.

        >>> async for refinement in sender.open("coffee.jpg", bytes=4000):
        ...     print(refinement.bytes, refinement.bpp, refinement.predicted_psnr)
        """
        wanted = Demand(Target(**target), weight)
        return self.deliver(image, wanted, render=render, previews=previews, kept=kept)

    def deliver(
        self,
        image: str,
        wanted: Demand,
        *,
        render: Method = "mmse",
        previews: Method | None = None,
        kept: Kept | None = None,
    ) -> Delivery:
        """Stream a picture as open() does, with a ``wanted`` that may be changed from outside."""
        kept = kept if kept is not None else MemoryStream()
        refinements = self._refinements(image, kept, wanted, render, previews)
        return Delivery(refinements, wanted)

    async def _refinements(
        self, image: str, kept: Kept, wanted: Demand, render: Method, previews: Method | None
    ) -> AsyncGenerator[Refinement, None]:
        """Yield the refinements of a picture, with the regions that are asked for meanwhile."""
        files: list[bytes] = []

        def part(part: Part, wish: Wish) -> AsyncGenerator[Refinement, None]:
            return self._part(image, part, wish, files, render, previews)

        whole = self._whole(image, kept, wanted, files, render, previews)
        try:
            async with contextlib.aclosing(Regions(wanted, kept, part).over(whole)) as refinements:
                async for refinement in refinements:
                    yield refinement
        except RuntimeError as error:
            if not self._link.closed:
                raise
            raise LinkLost(CLOSED) from error  # nothing is decoded any more

    async def _whole(
        self,
        image: str,
        kept: Kept,
        wanted: Demand,
        files: list[bytes],
        render: Method,
        previews: Method | None,
    ) -> AsyncGenerator[Refinement, None]:
        """Yield the refinements of a picture; what it starts from is put into ``files``."""

        async def start(header: Header) -> None:
            files[:] = await self._beginnings.of(self._called(image), header)

        decoder = decoder_finding(
            self._decoders, lambda said: next(filter(said.matches, files), None)
        )
        refiner = Refiner(decoder, self._worker, render, previews=previews, starting=start)
        begun = bytearray()

        def deliver(data: bytes) -> None:
            begun.extend(data[: BEGINNING - len(begun)])
            refiner.feed(data)

        feed = Feed(kept, wanted, deliver)
        receiving = partial(self._receive, image, kept, wanted, feed)
        try:
            async with contextlib.aclosing(refined(refiner, receiving)) as refinements:
                async for refinement in refinements:
                    yield refinement
        finally:
            self._beginnings.note(self._called(image), bytes(begun))

    def _part(
        self,
        image: str,
        part: Part,
        wish: Wish,
        files: list[bytes],
        render: Method,
        previews: Method | None,
    ) -> AsyncGenerator[Refinement, None]:
        """Return the refinements of a region."""
        held = [part.whole, *files]
        decoder = decoder_finding(
            self._decoders, lambda said: next(filter(said.matches, held), None)
        )
        refiner = Refiner(decoder, self._worker, render, previews=previews)
        if part.kept.length:
            refiner.feed(part.kept.read())
        sharper = Demand(wish.target, AT_ONCE)
        begun = header_of(part.whole[:MOST_HEADER])
        receiving = partial(
            self._receive,
            image,
            part.kept,
            sharper,
            Feed(part.kept, sharper, refiner.feed, fed=part.kept.length),
            region=part.region,
            model=None if begun is None else begun.model,
        )
        return refined(refiner, receiving)

    async def receive(
        self,
        image: str,
        kept: Kept,
        *,
        weight: float = 1.0,
        deliver: Deliver | None = None,
        **target: Unpack[TargetOptions],
    ) -> Reason:
        """Receive a stream into ``kept`` without decoding it; return why it ended.

        ``deliver`` is called with the bytes as they arrive.  Raises as open() does, except for the
        errors of decoding.
        """
        wanted = Demand(Target(**target), weight)
        feed = Feed(kept, wanted, deliver or (lambda _: None), fed=kept.length)
        return await self._receive(image, kept, wanted, feed)

    async def _receive(
        self,
        image: str,
        kept: Kept,
        wanted: Demand,
        feed: Feed,
        *,
        region: Region | None = None,
        model: str | None = None,
    ) -> Reason:
        backoff = self._backoff.fresh()
        while True:
            before = kept.length
            feed.catch_up()
            try:
                link = await self.dial()
                called = self._called(image)
                incoming = await ask(link, called, kept, wanted, region=region, model=model)
                wanted.follow(partial(feed.follow, incoming))
                end = await drain(incoming, kept, feed.came)
                if end.reason is not Reason.TARGET:
                    return end.reason
                if incoming.heard(end) and not await wanted.released(kept.length):
                    return end.reason
                # It ended before the sender heard of another target.
            except (LinkLost, PeerError) as error:
                if isinstance(error, PeerError) and not error.retry:
                    raise self._explained(error) from error
                if kept.length > before:
                    backoff.progress()
                await self._pause(backoff, error)
            finally:
                wanted.follow(None)
                self._link.tidy()

    async def dial(self) -> AnyLink:
        """Return the link, made anew if it was lost.

        Raises LinkLost, also once this is closed, RemoteProtocolError, Unauthorized, SafetyError.
        """
        return await self._link.get()

    async def _dial(self, address: Address) -> AnyLink:
        return await dial(
            address,
            access=self._access,
            models=self._decoders.fingerprints,
            terms=self._terms,
            opening=self._opening,
            plain=self._plain,
        )

    def _called(self, image: str) -> str:
        """Return the sender's name for a picture."""
        return self._link.address.image or image if image == self._given else image

    @property
    def _opening(self) -> float:
        """Seconds that a connection may take to open once the host is reached."""
        patience = self._backoff.patience
        return OPENING if patience is None else min(OPENING, max(LEAST_OPENING, patience))

    async def close(self) -> None:
        """Close the link; what is still being received ends with LinkLost."""
        await self._link.close()
        # Without cancel_futures: whoever waits for a picture was not cancelled.
        self._worker.shutdown(wait=False)

    def _explained(self, error: PeerError) -> DiffcError:
        if error.code == Code.UNKNOWN_MODEL and error.model is not None:
            return UnknownModel(error.model)
        return error

    async def _pause(self, backoff: Backoff, error: SessionError) -> None:
        if self._link.closed:
            raise LinkLost(CLOSED) from error
        logger.info("%s: %s; trying again", self._link.address.sender, error)
        await backoff.pause(error)
