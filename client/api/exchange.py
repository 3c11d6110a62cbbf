"""Asking a link for a stream, and taking and decoding what comes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable

from diffc_stream.errors import PeerError
from diffc_stream.session import Code, End, Region, Target

from ..decoding.refiner import Refinement, Refiner
from ..remote.links import AnyLink, AnyStream, PullLink
from ..storage.partial_stream import Kept
from .demand import Demand

Deliver = Callable[[bytes], None]


async def ask(
    link: AnyLink,
    image: str,
    kept: Kept,
    wanted: Demand,
    *,
    region: Region | None = None,
    model: str | None = None,
) -> AnyStream:
    """Ask for what follows ``kept``: of the picture's stream, or of that of a ``region``.

    ``model`` is that of a stream that has not begun.  Raises PeerError if there are no regions
    there, or LinkLost.
    """
    if region is not None and (isinstance(link, PullLink) or not await link.regions()):
        message = "regions come only from senders, by ws:// or wss://, that know them"
        raise PeerError(Code.UNSUPPORTED, message)
    if isinstance(link, PullLink):
        return link.open(image, held=kept.read(), target=wanted.now)
    header = kept.header
    return link.open(
        image,
        start=kept.length,
        prefix=kept.prefix,
        target=wanted.now,
        weight=wanted.weight,
        model=header.model if header else model,
        region=region,
    )


async def drain(incoming: AnyStream, kept: Kept, deliver: Deliver) -> End:
    """Take a stream to its end, and stop it if that is not reached."""
    try:
        while not isinstance(event := await incoming.next(), End):
            kept.append(event.payload)
            deliver(event.payload)
    finally:
        incoming.stop()
    return event


class Feed:
    """Delivers a stream's bytes without a gap: what is held, as far as wanted, and what comes."""

    def __init__(self, kept: Kept, wanted: Demand, deliver: Deliver, *, fed: int = 0) -> None:
        """Deliver what follows the first ``fed`` bytes of ``kept``."""
        self._kept = kept
        self._wanted = wanted
        self._deliver = deliver
        self._fed = fed

    def catch_up(self) -> None:
        """Deliver what is held, but no more than the target: the caller may compare rates."""
        if self._fed < self._kept.length:
            data, header = self._kept.read(), self._kept.header
            wanted = None if header is None else self._wanted.target.length(header.pixels)
            self._pass_on(data[self._fed : wanted])

    def follow(self, incoming: AnyStream, target: Target, weight: float) -> None:
        """Ask for another target, and deliver what is held of it."""
        incoming.update(target, weight)
        self.catch_up()

    def came(self, payload: bytes) -> None:
        """Deliver bytes that have just been held, and those before them that were not wanted."""
        gap = self._kept.length - len(payload) - self._fed
        self._pass_on(self._kept.read()[self._fed :] if gap else payload)

    def _pass_on(self, data: bytes) -> None:
        if data:
            self._fed += len(data)
            self._deliver(data)


async def refined(
    refiner: Refiner, receive: Callable[[], Awaitable[object]]
) -> AsyncGenerator[Refinement, None]:
    """Yield the refinements of what ``receive`` feeds to the refiner meanwhile."""

    async def finish() -> None:
        try:
            await receive()
        except Exception as error:
            refiner.finish(error)
        else:
            refiner.finish()

    receiving = asyncio.create_task(finish())
    try:
        while (refinement := await refiner.next()) is not None:
            yield refinement
    finally:
        receiving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await receiving
