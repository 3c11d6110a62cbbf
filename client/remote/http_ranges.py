"""Fetches streams that are files on any HTTP server, range by range.

The receiver decides here what a sender decides over a WebSocket.  Each request asks for twice as
many bytes as the one before, and for no more than the target needs.  Each also repeats the last
bytes that the receiver holds, to check that they belong to the same stream; entity tags would not
do, because the servers behind one name may give equal files different tags.  A server without
ranges sends everything from the start: the receiver skips what it holds, and stops at the target.

A server that has no file of a picture's name may have a folder that ``diffc publish`` wrote: then
the catalogue there tells which file it is.

A network on the way may answer in the server's place, with a login page for example.  So the
receiver takes nothing that does not begin as a stream does, and drops nothing because of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from diffc_stream.container.grammar import MAGIC, MOST_HEADER
from diffc_stream.errors import (
    LinkLost,
    PeerError,
    RemoteProtocolError,
    SessionError,
    UnknownImage,
)
from diffc_stream.session import MAX_STREAM, Code, Data, End, Entry, Reason, Target, Terms

from .address import Address
from .credentials import NO_ACCESS, Access, http_error
from .folder_catalogue import MISSING, FolderCatalogue
from .http_client import HttpConnection, ResponseHead
from .http_connections import HttpConnections
from .pulled_stream import PulledStream

FIRST_RANGE = 1024
"""Bytes of the first request: enough for a first picture, and quickly encoded if need be."""
MOST_RANGE = 65_536
OVERLAP = 64
"""Bytes already held that each request repeats, to check that they are the same."""
PLAIN = "plain"
"""The query that asks for a stream that starts from no other picture."""
BEGINNING = 15
"""If an answer is not a stream, the error shows so many of its bytes ..."""
MOST_TYPE = 60
"""... and so many characters of its Content-Type."""

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")


class RangeLink:
    """A file server with the interface of :class:`.websocket.Link`; make one with :meth:`dial`.

    Every stream has a connection of its own.  One spare connection is kept for the next stream.
    """

    lost = False
    """Always False: connections are opened again as they are needed."""
    streams: int | None = None
    """No limit of streams at once."""

    def __init__(
        self, addresses: tuple[Address, ...], idle: float, access: Access, *, plain: bool = False
    ) -> None:
        self._address = addresses[0].sender
        self._query = PLAIN if plain else ""
        self._queries = {address.image: address.query for address in addresses}
        self.connections = HttpConnections(self._address, idle=idle, access=access)
        self._open: set[IncomingRangeStream] = set()
        self._catalogue = FolderCatalogue(self.connections)
        self.met = False
        """Whether the server has sent a stream: a later answer that is none comes from the network
        between, and is an error that passes."""

    @classmethod
    async def dial(
        cls,
        *addresses: Address,
        terms: Terms,
        access: Access = NO_ACCESS,
        plain: bool = False,
    ) -> RangeLink:
        """Connect to a server.  Raises as :meth:`HttpConnection.dial` does.

        With ``plain``, ask a sender for streams that start from no other picture.
        """
        link = cls(addresses, terms.idle, access, plain=plain)
        await link.connections.dial()
        return link

    def open(self, image: str, *, held: bytes, target: Target) -> IncomingRangeStream:
        """Ask for the bytes of a stream after those ``held``, as far as ``target``."""
        query = self._queries.get(image) or self._query
        address = replace(self._address, image=image, query=query)
        incoming = IncomingRangeStream(self, address, held, target)
        self._open.add(incoming)
        return incoming

    async def catalogue(
        self, told: Callable[[Sequence[Entry]], object] | None = None
    ) -> list[Entry]:
        """Return the pictures of a published folder, by name; ``told`` is called with each page.

        Raises AddressError if the address is not of such a folder, LinkLost, RemoteProtocolError.
        """
        return await self._catalogue.entries(self._address, told)

    @property
    def left_out(self) -> int:
        """How many pictures the last catalogue left out."""
        return self._catalogue.left_out

    async def located(self, address: Address) -> Address | None:
        """Return where a picture's stream is, if a published folder on the way there tells."""
        return await self._catalogue.located(address)

    async def close(self) -> None:
        """Drop all connections."""
        for incoming in tuple(self._open):
            incoming.stop()
        await self.connections.close()

    def give_back(self, incoming: IncomingRangeStream, connection: HttpConnection | None) -> None:
        """Take back the connection of a stream that has ended."""
        self._open.discard(incoming)
        if connection is not None:
            self.connections.keep(connection)


class IncomingRangeStream(PulledStream):
    """The events of one stream as they arrive."""

    def __init__(self, link: RangeLink, address: Address, held: bytes, target: Target) -> None:
        super().__init__(held, target)
        self._link = link
        self._address = address
        self._seen = len(held)
        """How many bytes the curve has seen, those beyond the target too."""
        self._head = b""
        """The first bytes of the last answer that began at the start of the stream."""
        self._tail = held[-OVERLAP:]
        """The last bytes that are held."""
        self._size = FIRST_RANGE
        self._total: int | None = None
        """Length of the whole stream in bytes, once it is known."""
        self._connection: HttpConnection | None = None
        self._answered: range | None = None
        """The range of the answer that is being read; it ends at MAX_STREAM if it says none."""
        self._place = 0
        """The offset of the answer's next byte."""
        self._sought = False
        """Whether catalogues have been asked where the stream is."""
        self._type = ""
        """The answer's Content-Type."""
        self._before = 0
        """How many bytes were held at the request."""

    async def next(self) -> Data | End:
        """Wait for the next bytes, or the end.  Raises PeerError, LinkLost, RemoteProtocolError."""
        while (reason := self._reason()) is None:
            if self._answered is None or self._place > self._position:
                # The second case: the target was raised after bytes beyond it had been dropped.
                await self._ask()
            elif fresh := await self._read():
                offset = self._position - len(fresh)
                return Data(stream=1, offset=offset, payload=fresh)
        self.stop()
        return End(stream=1, reason=reason, length=self._position)

    def stop(self) -> None:
        """Stop the stream."""
        connection, self._connection = self._connection, None
        self._link.give_back(self, connection)

    def _reason(self) -> Reason | None:
        # Only after the whole answer, which proves that the held bytes are the same.
        if self._answered is None and self._total is not None and self._position >= self._total:
            return Reason.COMPLETE
        return Reason.TARGET if self._position >= self._end else None

    async def _ask(self) -> None:
        first = self._position - len(self._tail)
        wanted = range(first, min(self._position + self._size, self._end))
        self._size = min(2 * self._size, MOST_RANGE)
        self._before = self._position
        answer = await self._request(wanted)
        if answer.status in MISSING and not self._sought:
            self._sought = True
            # What this answer says is the error, unless a catalogue knows better.
            if self._connection is not None:
                self._link.connections.keep(self._connection)
                self._connection = None
            found = await self._link.located(self._address)
            if found is not None:
                self._address = found
                answer = await self._request(wanted)
        self._check(answer)
        match answer.status:
            case 206:
                self._answered = self._part(answer, wanted)
            case 200:
                self._answered = range(MAX_STREAM)
            case _:  # 416
                if first:
                    raise await self._mismatch()
                self._total = 0
                return
        self._place = self._answered.start
        self._head = b""
        self._type = answer.fields.get("content-type", "")[:MOST_TYPE]

    async def _request(self, wanted: range) -> ResponseHead:
        connection, self._connection = self._connection, None
        self._connection, answer = await self._link.connections.ask(
            self._address, wanted, connection
        )
        return answer

    def _check(self, answer: ResponseHead) -> None:
        """Raise the error for an answer that cannot be of a stream."""
        if answer.status not in (200, 206, 416):
            raise _refusal(self._address, answer)
        if answer.fields.get("content-encoding", "identity").lower() != "identity":
            raise self._nonsense("it compresses its answer without being asked")

    def _part(self, answer: ResponseHead, wanted: range) -> range:
        """Return the range of bytes that an answer holds."""
        match = _CONTENT_RANGE.fullmatch(answer.fields.get("content-range", ""))
        if match is None:
            raise self._nonsense("it does not say which bytes it sends")
        first, last = int(match.group(1)), int(match.group(2))
        if first != wanted.start or not first <= last < wanted.stop:
            raise self._nonsense("it sends other bytes than it was asked for")
        if match.group(3) != "*":
            total = int(match.group(3))
            if total <= last:
                raise self._nonsense("it sends more bytes than there are")
            # It may differ from before: the file has grown, or the overlap will show a change.
            self._total = total
        return range(first, last + 1)

    async def _read(self) -> bytes:
        """Read some of the answer and return its new bytes, if there are any."""
        assert self._connection is not None
        assert self._answered is not None
        piece = await self._connection.read()
        place, end = self._place, self._place + len(piece)
        if not piece:
            await self._finish()
            return b""
        self._look_at(place, piece)
        if end > self._answered.stop:
            raise self._nonsense("it sends more bytes than it says")
        self._place = end
        known = range(self._position - len(self._tail), self._position)
        low, high = max(place, known.start), min(end, known.stop)
        if piece[low - place : high - place] != self._tail[low - known.start : high - known.start]:
            raise await self._mismatch()
        return self._take(piece[max(0, self._position - place) :])

    def _look_at(self, place: int, piece: bytes) -> None:
        """Raise if an answer from the start does not begin as a stream."""
        if place == len(self._head) < len(MAGIC):
            self._head += piece[: len(MAGIC) - place]
            if not MAGIC.startswith(self._head):
                raise self._foreign(piece)
            self._link.met = self._link.met or self._head == MAGIC

    def _take(self, fresh: bytes) -> bytes:
        self._start += fresh[: MOST_HEADER - len(self._start)]
        self._curve.feed(fresh[self._seen - self._position :])
        self._seen = max(self._seen, self._position + len(fresh))
        fresh = fresh[: max(0, self._end - self._position)]
        self._position += len(fresh)
        self._tail = (self._tail + fresh)[-OVERLAP:]
        return fresh

    async def _finish(self) -> None:
        """Handle the end of an answer."""
        assert self._answered is not None
        whole = self._answered.stop == MAX_STREAM
        if not whole and self._place < self._answered.stop:
            raise LinkLost(f"{self._address.sender} sent less than it said")
        self._answered = None
        if self._place < self._position:
            raise await self._mismatch()
        if whole or self._position == self._before:
            self._total = self._position

    async def _mismatch(self) -> SessionError:
        """Return the error for an answer that differs from the bytes held.

        It is another stream, or no stream at all: to find out, this asks for its first bytes.
        """
        if not self._head:
            self._answered, self._place = None, 0
            answer = await self._request(range(len(MAGIC)))
            self._check(answer)
            self._type = answer.fields.get("content-type", "")[:MOST_TYPE]
            assert self._connection is not None
            while len(self._head) < len(MAGIC) and (piece := await self._connection.read()):
                self._look_at(len(self._head), piece)
        return PeerError(
            Code.PREFIX_MISMATCH,
            f"the first {self._position} bytes of {self._address.image} are not as held: "
            "start again without them",
        )

    def _foreign(self, piece: bytes) -> SessionError:
        """Return the error for an answer that begins with ``piece``, as no stream does."""
        kind = self._type if self._type.isprintable() and self._type else "something"
        login = ", perhaps a login page" if b"<" in piece[:BEGINNING] else ""
        text = f"{self._address} is no stream but {kind}{login}: it begins with "
        shown = f"{text}{piece[:BEGINNING].decode('latin-1')!a}"
        return LinkLost(shown) if self._link.met else RemoteProtocolError(shown)

    def _nonsense(self, what: str) -> RemoteProtocolError:
        return RemoteProtocolError(f"{self._address.sender} does not support ranges: {what}")


def _refusal(address: Address, answer: ResponseHead) -> SessionError:
    status, image, sender = answer.status, address.image, address.sender
    if status in (404, 410):
        hint = "" if str(image).endswith(".dfc") else "; streams are called PICTURE.dfc"
        return UnknownImage(Code.UNKNOWN_IMAGE, f"there is no {image} (HTTP {status}){hint}")
    if status == 415:
        return PeerError(Code.UNREADABLE_IMAGE, f"{image} cannot be read as a picture")
    location = answer.fields.get("location", "")
    return http_error(sender, status, location, f"refuses {image}")
