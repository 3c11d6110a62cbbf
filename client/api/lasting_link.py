"""The link to a sender, made anew whenever it is lost, until it is closed on this side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from diffc_stream.errors import LinkLost, RemoteProtocolError

from ..remote.address import Address
from ..remote.links import AnyLink
from ..remote.websocket import Link

CLOSED = "the connection was closed on this side"
MOST_CLOSING = 4
"""Links that may be closing when another is made: a sender may leave again and again, and never
close what it has left."""

Dial = Callable[[Address], Awaitable[AnyLink]]


class LastingLink:
    """A link that is made anew when it is asked for after it was lost."""

    def __init__(self, address: Address, dial: Dial) -> None:
        """Connect to ``address`` by ``dial``."""
        self.address = address
        """The sender's, with its path once that is known."""
        self.closed = False
        """Whether it was closed on this side: no further link is made."""
        self._dial = dial
        self._link: AnyLink | None = None
        self._met = False
        """Whether the last one was to a sender of ours: then it still is one, and what it says
        now was damaged."""
        self._dialling = asyncio.Lock()
        self._left: set[Link] = set()
        """Those that the sender is leaving, while streams still end there."""
        self._closing: set[asyncio.Task[None]] = set()

    async def get(self) -> AnyLink:
        """Return the link, made anew if it was lost.

        Raises LinkLost, also once this is closed, RemoteProtocolError, Unauthorized, SafetyError.
        """
        async with self._dialling:
            if self._link is not None and not self._link.lost and not self.closed:
                return self._link
            if isinstance(self._link, Link):
                self._met = self._link.met
            self._replace(None)
            while len(self._closing) >= MOST_CLOSING:
                await asyncio.wait(self._closing, return_when=asyncio.FIRST_COMPLETED)
            self._check()
            try:
                link = await self._dial(self.address)
            except RemoteProtocolError as error:
                if self._met:
                    raise LinkLost(str(error)) from error
                raise
            self._replace(link)
            if self.closed:  # meanwhile
                await self.close()
            self._check()
            if isinstance(link, Link) and link.base:
                self.address = self.address.below(link.base)
            return link

    def _check(self) -> None:
        if self.closed:
            raise LinkLost(CLOSED)

    def tidy(self) -> None:
        """Close the links that were left, as far as nothing is received there any more."""
        for link in [link for link in self._left if not link.busy]:
            self._left.discard(link)
            self._close(link)

    async def close(self) -> None:
        """Close all links, and make no other."""
        self.closed = True
        self._replace(None)
        while self._left:
            self._close(self._left.pop())
        await asyncio.gather(*self._closing)

    def _replace(self, link: AnyLink | None) -> None:
        """Take another link; the one before is closed once nothing is received there."""
        before, self._link = self._link, link
        if isinstance(before, Link):
            self._left.add(before)
        elif before is not None:
            self._close(before)
        self.tidy()

    def _close(self, link: AnyLink) -> None:
        closing = asyncio.create_task(link.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
