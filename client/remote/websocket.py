"""A connection to a sender: a WebSocket joined to a session.

As in the sender, one task reads and passes everything to the session, and another writes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence

from websockets.exceptions import (
    ConnectionClosed,
)
from websockets.frames import CloseCode

from diffc_stream.errors import (
    LinkLost,
    PeerError,
    RemoteProtocolError,
    SenderLeaving,
    SessionError,
)
from diffc_stream.session import (
    WHOLE,
    Capability,
    Catalogue,
    Code,
    Data,
    End,
    Entry,
    Error,
    Goaway,
    Message,
    Reason,
    ReceiverSession,
    Region,
    Target,
    Terms,
    Welcome,
    peer_error,
)
from diffc_stream.session.messages import ENTRIES_PER_PAGE
from diffc_stream.transport.pacing import Paced
from diffc_stream.transport.websocket import OPENING

from .address import Address
from .credentials import NO_ACCESS, Access
from .handshake import CLOSE_TIMEOUT, base_of, open_websocket
from .receive_buffer import Backlog, IncomingStream

MOST_BACKLOG = 64
"""Messages that may wait to be sent before reading stops."""
CAPABILITIES = (
    Capability.DFC1,
    Capability.DFC2,
    Capability.DFC3,
    Capability.DFC4,
    Capability.DFC5,
)
PLAIN = tuple(format_ for format_ in CAPABILITIES if format_ != Capability.DFC4)
"""Those of a receiver that wants streams that start from no other picture."""
Told = Callable[[Sequence[Entry]], object]
MOST_ENTRIES = 100_000
"""Pictures in a catalogue; stops a sender that never sends a last page."""
LEAST_ENTRIES = ENTRIES_PER_PAGE // 2
"""Each page of a catalogue counts as so many pictures at least, since it may be empty."""
PAGE = 4.0
"""A page counts as so many of the cheapest messages in the limit on messages."""


class Link:
    """A connection to a sender; make one with :meth:`dial`."""

    def __init__(self, websocket: Paced, session: ReceiverSession) -> None:
        self._websocket = websocket
        self._session = session
        self._clock = asyncio.get_running_loop().time
        self._awoken = asyncio.Event()
        self._flushed = asyncio.Event()
        self._greeted = asyncio.Event()
        """Set once the sender's WELCOME has arrived, or never will."""
        self._incoming: dict[int, IncomingStream] = {}
        self._backlog = Backlog()
        self._entries: list[Entry] = []
        self.left_out = 0
        """How many older pictures the last catalogue leaves out."""
        self._announced = 0
        """How many pictures have been announced, as the limit counts them."""
        self._listed: asyncio.Future[list[Entry]] | None = None
        self._telling: list[Told] = []
        """Functions to call with each page as it arrives."""
        self._pages: asyncio.Queue[Catalogue | SessionError] | None = None
        self.base = ""
        """The sender's path, if the address did not say it."""
        self._lost: SessionError | None = None
        self._leaving: SenderLeaving | None = None
        self._task = asyncio.create_task(self._run())

    @classmethod
    async def dial(
        cls,
        address: Address,
        *,
        models: Iterable[str],
        terms: Terms,
        access: Access = NO_ACCESS,
        opening: float = OPENING,
        plain: bool = False,
    ) -> Link:
        """Connect to a sender, without waiting for its first message.

        With ``plain``, streams start from no other picture.  For ``opening`` and the errors see
        :func:`.handshake.open_websocket`.
        """
        websocket = await open_websocket(address, access, opening=opening)
        link = cls.over(websocket, models=models, terms=terms, plain=plain)
        link.base = base_of(address, websocket)
        return link

    @classmethod
    def over(
        cls, websocket: Paced, *, models: Iterable[str], terms: Terms, plain: bool = False
    ) -> Link:
        """Start a session over a WebSocket that either side has opened."""
        now = asyncio.get_running_loop().time()
        capabilities = PLAIN if plain else CAPABILITIES
        session = ReceiverSession(now=now, terms=terms, models=models, capabilities=capabilities)
        return cls(websocket, session)

    @property
    def lost(self) -> bool:
        """Whether the connection is lost or about to close, so that it takes no more requests."""
        return self._lost is not None or self._leaving is not None

    @property
    def busy(self) -> bool:
        """Whether a stream or the catalogue is still being received."""
        return bool(self._incoming) or (self._listed is not None and not self._listed.done())

    @property
    def met(self) -> bool:
        """Whether the sender's WELCOME has arrived."""
        return self._session.welcome is not None

    @property
    def models(self) -> tuple[str, ...]:
        """Fingerprints of the models that the sender encodes with; empty before WELCOME."""
        return self._session.welcome.models if self._session.welcome else ()

    @property
    def streams(self) -> int | None:
        """How many streams may be open at once; None before WELCOME."""
        return self._session.welcome.streams if self._session.welcome else None

    async def regions(self) -> bool:
        """Wait for WELCOME, and return whether the sender has streams of regions.

        Raises LinkLost, RemoteProtocolError or PeerError.
        """
        await self._greeted.wait()
        if not self.met:
            self._check()
        return self._session.regions

    @property
    def following(self) -> bool:
        """Whether the sender sends further pages for follow(); known once the first has arrived."""
        return self._session.following

    @property
    def window(self) -> int:
        """Bytes of payload that may be in flight at the moment."""
        return self._session.current

    def open(
        self,
        image: str,
        *,
        start: int = 0,
        prefix: str | None = None,
        target: Target = WHOLE,
        weight: float = 1.0,
        model: str | None = None,
        region: Region | None = None,
        bounded: bool = False,
    ) -> IncomingStream:
        """Ask for a picture's stream from byte ``start``; see ReceiverSession.open().

        While too many bytes of ``bounded`` streams wait to be taken, the link stops reading.
        """
        self._check()
        stream = self._session.open(
            image,
            start=start,
            prefix=prefix,
            target=target,
            weight=weight,
            model=model,
            region=region,
        )
        incoming = self._incoming[stream] = IncomingStream(
            self, stream, self._backlog if bounded else None
        )
        self._awoken.set()
        return incoming

    def update(self, stream: int, target: Target, weight: float) -> None:
        """Change a stream's target and weight, if it has not ended."""
        if self._lost is None:
            self._session.update(stream, target=target, weight=weight)
            self._awoken.set()

    def stop(self, stream: int) -> None:
        """Tell the sender to stop a stream, if it has not ended."""
        self._incoming.pop(stream, None)
        if self._lost is None:
            self._session.stop(stream)
            self._awoken.set()

    async def catalogue(self, told: Told | None = None) -> list[Entry]:
        """Ask for the catalogue and return it, sorted by name.

        ``told`` is called with the pictures of each page as it arrives, the newest first if the
        sender supports that.
        """
        self._check()
        if told is not None:
            told(self._entries)
            self._telling.append(told)
        if self._listed is None:
            self._listed = asyncio.get_running_loop().create_future()
            self._session.list()
            self._awoken.set()
        return await asyncio.shield(self._listed)

    def follow(self, mark: str | None = None) -> asyncio.Queue[Catalogue | SessionError]:
        """Ask for the catalogue and its changes, without what ``mark`` says is known already.

        Returns the queue of the pages, which ends with the error that ends the link.  After a
        page marked as the last, more follow if the sender supports that (:attr:`following`);
        otherwise ask again.
        """
        self._check()
        self._session.list(follow=True, mark=mark)
        self._pages = asyncio.Queue()
        self._awoken.set()
        return self._pages

    async def close(self) -> None:
        """Send the waiting messages, and close."""
        with contextlib.suppress(TimeoutError, ConnectionClosed, LinkLost):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._flush()
                await self._websocket.close()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._websocket.transport.abort()

    def _check(self) -> None:
        error = self._lost or self._leaving
        if error is not None:
            raise error

    async def _run(self) -> None:
        code = CloseCode.NORMAL_CLOSURE
        lost: SessionError = LinkLost("the connection was closed on this side")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write())
                await self._read()
        except* ConnectionClosed as group:
            lost = _closed(group.exceptions[0])
        except* LinkLost as group:
            lost = LinkLost(str(group.exceptions[0]))
        except* SessionError as group:
            lost = self._failure(group.exceptions[0])
            code = CloseCode.PROTOCOL_ERROR
        finally:
            self._lose(lost)
        with contextlib.suppress(TimeoutError, ConnectionClosed, LinkLost):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._flush()
                await self._websocket.close(code)

    def _failure(self, error: BaseException) -> SessionError:
        """Return the error that ends the streams after a message that breaks the protocol.

        Before WELCOME it shows that the peer speaks another protocol.  After it, something between
        the two has damaged a message, and a new connection may help.
        """
        assert isinstance(error, SessionError)
        damaged = isinstance(error, RemoteProtocolError) or (
            isinstance(error, PeerError) and error.code == Code.PROTOCOL
        )
        if damaged and self._session.welcome is not None:
            return LinkLost(f"the connection to the sender was damaged: {error}")
        return error

    async def _read(self) -> None:
        while True:
            event = self._session.receive(await self._websocket.recv(), self._clock())
            self._act(event)
            self._awoken.set()
            while self._session.backlog > MOST_BACKLOG:
                self._flushed.clear()
                await self._flushed.wait()
            await self._backlog.room()

    def _act(self, event: Message | None) -> None:
        match event:
            case Welcome():
                self._greeted.set()
            case Catalogue():
                self._websocket.charge(PAGE)
                self._take(event)
            case Goaway():
                self._leaving = SenderLeaving(event.wait)
            case End(reason=Reason.DRAINING) if event.stream in self._incoming:
                leaving = self._leaving or LinkLost("the sender is shutting down")
                self._incoming.pop(event.stream).put(leaving)
            case Data():
                self._websocket.earn(len(event.payload))
                if event.stream in self._incoming:
                    self._incoming[event.stream].put(event)
            case End() if event.stream in self._incoming:
                self._incoming.pop(event.stream).put(event)
            case Error() if event.stream in self._incoming:
                self._incoming.pop(event.stream).put(peer_error(event))

    def _take(self, page: Catalogue) -> None:
        if self._pages is not None:
            self._pages.put_nowait(page)
            return
        self._entries += page.images
        for told in self._telling:
            told(page.images)
        self._announced += max(LEAST_ENTRIES, len(page.images))
        if self._announced > MOST_ENTRIES:
            raise RemoteProtocolError(f"a CATALOGUE of more than {MOST_ENTRIES} pictures")
        self.left_out = page.left_out
        if page.last and self._listed is not None:
            self._listed.set_result(sorted(self._entries, key=lambda entry: entry.name))
            self._listed, self._entries, self._announced = None, [], 0
            self._telling.clear()

    async def _write(self) -> None:
        while True:
            self._awoken.clear()
            await self._flush()
            self._flushed.set()
            try:
                async with asyncio.timeout_at(self._session.next_timeout()):
                    await self._awoken.wait()
            except TimeoutError:
                self._session.heard(self._websocket.heard)
                self._session.handle_timeout(self._clock())

    async def _flush(self) -> None:
        for data in self._session.transmit(self._clock()):
            try:
                async with asyncio.timeout(self._session.terms.idle):
                    await self._websocket.send(data)
            except TimeoutError:
                raise LinkLost("the sender does not read") from None

    def _lose(self, error: SessionError) -> None:
        error = self._lost = self._leaving or error
        self._greeted.set()
        for incoming in self._incoming.values():
            incoming.put(error)
        self._incoming.clear()
        if self._pages is not None:
            self._pages.put_nowait(error)
        if self._listed is not None and not self._listed.done():
            self._listed.set_exception(error)
            self._listed.exception()  # marks it as seen: its caller may be gone


def _closed(error: BaseException) -> LinkLost:
    received = error.rcvd if isinstance(error, ConnectionClosed) else None
    if received is not None and received.code == CloseCode.GOING_AWAY:
        return LinkLost("the sender is shutting down")
    return LinkLost("the connection to the sender was lost")
