"""One stream that comes from an MQTT broker, piece by piece."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from diffc_stream.container.grammar import MOST_HEADER
from diffc_stream.errors import PeerError, SessionError
from diffc_stream.session import Code, Data, End, Reason, Target
from diffc_stream.transport.mqtt_topics import Item

from .pulled_stream import PulledStream

if TYPE_CHECKING:
    from .mqtt import MqttLink

AHEAD = 65_536
"""Bytes of a stream that are asked for at a time."""
MOST_PIECES = 16
"""... and pieces."""
TRIES = 3
"""How often pieces are asked for before a stream is left for later."""
LATER = 60.0
"""Seconds after which to ask again for a stream whose pieces are not there."""


class IncomingMqttStream(PulledStream):
    """The events of one stream as they arrive."""

    def __init__(self, link: MqttLink, image: str, held: bytes, target: Target) -> None:
        super().__init__(held, target)
        self._link = link
        self._image = image
        self._known = held
        """The bytes held; once its item is known, those within the piece that is next."""
        self._hash = hashlib.sha256(held)
        self._item: Item | None = None
        self._wanted: set[int] = set()
        """Offsets of pieces that were asked for and have not come."""
        self._pieces: dict[int, bytes] = {}
        """Pieces that have come and wait for their turn."""
        self._topics: list[str] = []
        self._failure: SessionError | None = None
        self._awoken = asyncio.Event()

    async def next(self) -> Data | End:
        """Wait for the next bytes, or the end.  Raises PeerError or LinkLost."""
        if self._item is None:
            self._item = await self._link.item(self._image)
            self._compare_held(self._item)
            whole = self._position - self._position % self._item.piece
            self._known = self._known[whole:]
        item = self._item
        while (reason := self._reason(item)) is None:
            offset = self._position - self._position % item.piece
            if offset in self._pieces:
                fresh = self._use(item, offset)
                if fresh:
                    before = self._position - len(fresh)
                    return Data(stream=1, offset=before, payload=fresh)
            else:
                await self._fetch(item, offset)
        self.stop()
        return End(stream=1, reason=reason, length=self._position)

    def stop(self) -> None:
        """Stop the stream."""
        topics, self._topics = self._topics, []
        self._wanted.clear()
        self._pieces.clear()
        self._link.leave(self, topics, ended=True)

    def take(self, name: str, told: str, offset: int, data: bytes) -> None:
        """Take a piece, if it was asked for and is as long as it should be."""
        item = self._item
        if item is None or (name, told) != (self._image, item.id) or offset not in self._wanted:
            return
        if len(data) == item.length(offset):
            self._wanted.discard(offset)
            self._pieces[offset] = data
            self._awoken.set()

    def replaced(self, name: str, told: str) -> None:
        """Take note that another stream has taken the place of one."""
        if name == self._image and self._item is not None and self._item.id == told:
            self.fail(self._mismatch("it has been replaced"))

    def fail(self, error: SessionError) -> None:
        """End with an error."""
        self._failure = self._failure or error
        self._awoken.set()

    def _compare_held(self, item: Item) -> None:
        """Raise PeerError if the bytes held are not of this stream, as far as can be told."""
        if self._position > item.size:
            raise self._mismatch("it is shorter than what is here")
        if self._position == item.size and self._hash.hexdigest() != item.sha256:
            raise self._mismatch("it has been replaced")

    def _reason(self, item: Item) -> Reason | None:
        if self._position >= item.size:
            return Reason.COMPLETE
        return Reason.TARGET if self._position >= self._end else None

    def _use(self, item: Item, offset: int) -> bytes:
        """Take the next piece, and return what of it is wanted."""
        piece = self._pieces.pop(offset)
        if not piece.startswith(self._known):
            raise self._mismatch("its bytes are not those that are here")
        fresh = piece[len(self._known) :]
        self._start += fresh[: MOST_HEADER - len(self._start)]
        self._curve.feed(fresh)
        fresh = fresh[: max(0, self._end - self._position)]
        hashed = self._hash.copy()
        hashed.update(fresh)
        if self._position + len(fresh) == item.size and hashed.hexdigest() != item.sha256:
            raise self._mismatch("its pieces are not what they should be")
        self._hash = hashed
        self._position += len(fresh)
        self._known = piece[: self._position - offset]
        if self._position < offset + len(piece):
            self._pieces[offset] = piece  # should the target be raised, the rest is here
        else:
            self._known = b""
        return fresh

    async def _fetch(self, item: Item, offset: int) -> None:
        """Ask for the next pieces, and wait for the first of them.  Raises PeerError, LinkLost."""
        for _ in range(TRIES):
            if offset not in self._wanted:
                self._link.leave(self, self._topics, ended=False)
                ahead = min(MOST_PIECES, max(1, AHEAD // item.piece)) * item.piece
                end = min(item.size, offset + ahead, max(self._end, offset + 1))
                self._wanted = set(range(offset, end, item.piece))
                self._topics = await self._link.ask(item, sorted(self._wanted))
            if await self._comes(offset):
                return
            self._wanted.clear()
        raise PeerError(
            Code.BUSY, f"its bytes from {offset} on are not there", retry=True, after=LATER
        )

    async def _comes(self, offset: int) -> bool:
        """Wait for a piece; return False if it does not come though others might."""
        quiet = 0
        while offset not in self._pieces:
            if self._failure is not None:
                raise self._failure
            self._awoken.clear()
            heard = self._link.heard
            try:
                async with asyncio.timeout(self._link.patience):
                    await self._awoken.wait()
            except TimeoutError:
                quiet += 1
                if self._link.heard == heard or quiet == TRIES:
                    return False
        return True

    def _mismatch(self, why: str) -> PeerError:
        text = f"the first {self._position} bytes of {self._image} are not as held: {why}"
        return PeerError(Code.PREFIX_MISMATCH, text)
