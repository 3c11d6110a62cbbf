"""One connection to a sender: a WebSocket joined to a session.

As in the sender, one task reads and hands everything to the session, and one writes.
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
    Target,
    Terms,
    peer_error,
)
from diffc_stream.session.messages import ENTRIES_PER_PAGE
from diffc_stream.transport.pacing import Paced
from diffc_stream.transport.websocket import OPENING

from .address import Address
from .credentials import NO_ACCESS, Access
from .handshake import CLOSE_TIMEOUT, base_of, open_websocket
from .receive_buffer import Arrivals, Backlog

MOST_BACKLOG = 64
"""Messages waiting to be sent beyond which nothing more is read."""
CAPABILITIES = (Capability.DFC1, Capability.DFC2, Capability.DFC3)
Told = Callable[[Sequence[Entry]], object]
MOST_ENTRIES = 100_000
"""Pictures in a catalogue; a sender that never says which page is the last is not believed."""
LEAST_ENTRIES = ENTRIES_PER_PAGE // 2
"""Pictures as which a page of a catalogue counts at least: a sender might say nothing for ever."""
PAGE = 4.0
"""Messages of the simplest kind as which a page counts."""


class Link:
    """A connection to a sender; make one with :meth:`dial`."""

    def __init__(self, websocket: Paced, session: ReceiverSession) -> None:
        self._websocket = websocket
        self._session = session
        self._clock = asyncio.get_running_loop().time
        self._awoken = asyncio.Event()
        self._flushed = asyncio.Event()
        self._arrivals: dict[int, Arrivals] = {}
        self._backlog = Backlog()
        self._entries: list[Entry] = []
        self.left_out = 0
        """How many older pictures the catalogue that came last leaves out."""
        self._announced = 0
        """How many that may have been, as far as limits go."""
        self._listed: asyncio.Future[list[Entry]] | None = None
        self._telling: list[Told] = []
        """Who is told of pages as they come."""
        self._pages: asyncio.Queue[Catalogue | SessionError] | None = None
        self.base = ""
        """The path that the sender is below, as far as it was not known before."""
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
    ) -> Link:
        """Connect to a sender, in ``opening`` seconds, without waiting for what it says.

        Raises LinkLost if there is nobody, RemoteProtocolError if whoever is there does not speak
        our version of the protocol, Unauthorized, or SafetyError.
        """
        websocket = await open_websocket(address, access, opening=opening)
        link = cls.over(websocket, models=models, terms=terms)
        link.base = base_of(address, websocket)
        return link

    @classmethod
    def over(cls, websocket: Paced, *, models: Iterable[str], terms: Terms) -> Link:
        """Greet the sender at the other end of a WebSocket, whoever has opened it."""
        now = asyncio.get_running_loop().time()
        session = ReceiverSession(now=now, terms=terms, models=models, capabilities=CAPABILITIES)
        return cls(websocket, session)

    @property
    def lost(self) -> bool:
        """The connection has gone, or is about to: nothing more can be asked for."""
        return self._lost is not None or self._leaving is not None

    @property
    def met(self) -> bool:
        """The sender has said WELCOME."""
        return self._session.welcome is not None

    @property
    def models(self) -> tuple[str, ...]:
        """Fingerprints of models that the sender can encode with, once it has said so."""
        return self._session.welcome.models if self._session.welcome else ()

    @property
    def streams(self) -> int | None:
        """Streams that may be open at once, once the sender has said so."""
        return self._session.welcome.streams if self._session.welcome else None

    @property
    def following(self) -> bool:
        """The sender goes on with pages for follow(); known when the first of them are here."""
        return self._session.following

    @property
    def window(self) -> int:
        """Bytes of payload that may be under way at the moment."""
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
        bounded: bool = False,
    ) -> Arrivals:
        """Ask for a picture's stream from byte ``start``; see ReceiverSession.open().

        Nothing more is read of the link while too much waits to be taken of ``bounded`` ones.
        """
        self._check()
        stream = self._session.open(
            image, start=start, prefix=prefix, target=target, weight=weight, model=model
        )
        arrivals = self._arrivals[stream] = Arrivals(
            self, stream, self._backlog if bounded else None
        )
        self._awoken.set()
        return arrivals

    def update(self, stream: int, target: Target, weight: float) -> None:
        """Change how far a stream goes and its weight, if it has not ended."""
        if self._lost is None:
            self._session.update(stream, target=target, weight=weight)
            self._awoken.set()

    def stop(self, stream: int) -> None:
        """Say that no more of a stream is wanted, if it has not ended anyway."""
        self._arrivals.pop(stream, None)
        if self._lost is None:
            self._session.stop(stream)
            self._awoken.set()

    async def catalogue(self, told: Told | None = None) -> list[Entry]:
        """Ask what pictures there are; return them by name.

        ``told`` gets those of each page as it comes, the newest first, as far as the sender can.
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
        """Ask what pictures there are and what changes, beyond what ``mark`` stands for.

        Returns where pages will be, and at last what has ended the link.  After a page that is the
        last, others come if the sender can do that (:attr:`following`); otherwise ask again.
        """
        self._check()
        self._session.list(follow=True, mark=mark)
        self._pages = asyncio.Queue()
        self._awoken.set()
        return self._pages

    async def close(self) -> None:
        """Send what is still to be sent, and close."""
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
        """Return what a message that breaks the rules means for those who wait for pictures.

        From a peer that never said WELCOME it means that it is none of ours.  Later on something
        between the two has damaged a message, and a new connection will do.
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
            case Catalogue():
                self._websocket.charge(PAGE)
                self._take(event)
            case Goaway():
                self._leaving = SenderLeaving(event.wait)
            case End(reason=Reason.DRAINING) if event.stream in self._arrivals:
                leaving = self._leaving or LinkLost("the sender is shutting down")
                self._arrivals.pop(event.stream).put(leaving)
            case Data():
                self._websocket.earn(len(event.payload))
                if event.stream in self._arrivals:
                    self._arrivals[event.stream].put(event)
            case End() if event.stream in self._arrivals:
                self._arrivals.pop(event.stream).put(event)
            case Error() if event.stream in self._arrivals:
                self._arrivals.pop(event.stream).put(peer_error(event))

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
                raise LinkLost("the sender does not listen") from None

    def _lose(self, error: SessionError) -> None:
        error = self._lost = self._leaving or error
        for arrivals in self._arrivals.values():
            arrivals.put(error)
        self._arrivals.clear()
        if self._pages is not None:
            self._pages.put_nowait(error)
        if self._listed is not None and not self._listed.done():
            self._listed.set_exception(error)
            self._listed.exception()  # whoever asked may have gone


def _closed(error: BaseException) -> LinkLost:
    received = error.rcvd if isinstance(error, ConnectionClosed) else None
    if received is not None and received.code == CloseCode.GOING_AWAY:
        return LinkLost("the sender is shutting down")
    return LinkLost("the connection to the sender was lost")
