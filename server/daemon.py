"""The sender daemon: listens, and holds a conversation with every receiver, or answers it once."""

from __future__ import annotations

import asyncio
import contextlib
import http
import logging
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self, TypedDict, Unpack

from structlog.contextvars import bound_contextvars
from websockets.asyncio.server import Server, ServerConnection
from websockets.http11 import Request, Response
from websockets.protocol import State

from diffc_stream.session import SUBPROTOCOL, Terms
from diffc_stream.transport.admission import Admission
from diffc_stream.transport.fd_limit import Spare
from diffc_stream.transport.listener import PortListener
from diffc_stream.transport.tls import Certificate
from diffc_stream.transport.websocket import OPENING, listen
from diffc_viewer import Site

from .auth.access_control import AccessControl
from .auth.reloader import Reloader
from .catalogue.catalogue import Catalogue
from .encoding.pipeline import Pipeline
from .gate import Gate
from .http.comparison import Comparison
from .http.handler import Exchange, Service
from .ops.metrics import Figures
from .websocket.connection import Conversation, connection_id
from .websocket.handshake import Arrival

MOST_CONNECTIONS = 2000
"""Receivers at once, unless told otherwise."""
DRAIN_GRACE = 10.0
"""Seconds, unless told otherwise, that receivers get to take note of a shutdown."""
CUTTING = 2.0
"""Seconds that it may take to be rid of those that did not."""
GOODBYE = 10.0
"""Seconds that a receiver gets to answer to a goodbye; then it has gone."""

logger = logging.getLogger("diffc_server")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenSettings:
    """Where and how a sender listens, and to whom."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 is any free one."""
    terms: Terms | None = None
    connections: int = MOST_CONNECTIONS
    """At once; more are told to come later."""
    names: Iterable[str] = ()
    """Of this machine, beside its address; browsers may call it by these."""
    grace: float = DRAIN_GRACE
    """Seconds that draining takes at most."""
    reuse_port: bool = False
    """Other processes may listen on the port; who connects meets one that is not draining."""
    reception: AccessControl | None = None
    """Who may come in, and how much he may have; None: everybody, and what Limits says."""
    certificate: Certificate | None = None
    """With one, all goes over TLS."""
    origins: Iterable[str] = ()
    """Other sites, whose pages may open WebSockets here."""
    strict: bool = False
    """Programs too have to call this machine by its names."""


class ListenOptions(TypedDict, total=False):
    """The fields of :class:`ListenSettings`, as keywords: ``**options``."""

    host: str
    port: int
    terms: Terms | None
    connections: int
    names: Iterable[str]
    grace: float
    reuse_port: bool
    reception: AccessControl | None
    certificate: Certificate | None
    origins: Iterable[str]
    strict: bool


class SenderDaemon:
    """Serves the pictures of a catalogue until it is drained.

    >>> async with SenderDaemon(Catalogue(folder), Pipeline(FileOpener(models))) as daemon:
    ...     print(daemon.url)

    Leaving the block drains it: receivers are told, and know to come back for the rest.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        pipeline: Pipeline,
        *,
        site: Site | None = None,
        comparison: Comparison | None = None,
        figures: Figures | None = None,
        **options: Unpack[ListenOptions],
    ) -> None:
        """Prepare to listen, as ``options`` say: fields of :class:`ListenSettings`.

        With a ``site``, browsers find the viewer here; with a ``comparison`` other formats'
        pictures too.
        """
        self.figures = figures or Figures()
        self._settings = settings = ListenSettings(**options)
        self._terms = settings.terms or Terms()
        self._reception = AccessControl() if settings.reception is None else settings.reception
        self._catalogue, self._pipeline = catalogue, pipeline
        self._spare = Spare()
        self.admission = Admission(
            settings.connections,
            by_address=self._reception.newcomers,
            logger=logger,
            spare=self._spare,
        )
        """Who has connected, whether he has asked for anything or not."""
        self._gate = Gate(
            self._reception,
            self.admission,
            self.figures,
            names=settings.names,
            origins=settings.origins,
            pages=site is not None,
            secure=settings.certificate is not None,
            strict=settings.strict,
        )
        self._reloader = Reloader(self.reread)
        self._conversations: set[Conversation] = set()
        self._exchanges: set[Exchange] = set()
        self._service = Service(
            catalogue=catalogue,
            pipeline=pipeline,
            door=self._gate.door,
            site=site,
            comparison=comparison,
            idle=self._terms.idle,
            figures=self.figures,
        )
        self._open: set[Arrival] = set()
        """All, those that are being opened or closed included."""
        self._listener: PortListener | None = None
        self._report_to(self.figures)

    def _report_to(self, figures: Figures) -> None:
        """Have metrics look here for what is counted here."""
        figures.admission = self.admission
        figures.beyond = lambda: self._catalogue.left_out
        figures.unnamed = lambda: self._catalogue.unserved
        figures.buffered = lambda: self._service.buffers.nbytes

    async def __aenter__(self) -> Self:
        """Listen.  Raises OSError if the port is taken, or cannot be shared."""
        listener = PortListener(self.admission)
        at = self._settings
        await listener.open(at.host, at.port, self._serve, reuse_port=at.reuse_port)
        self._spare.open()
        self._listener = listener
        if self._settings.certificate is not None or self._reception.guarded:
            self._reloader.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain()

    async def _serve(self, listening: socket.socket) -> Server:
        return await listen(
            listening,
            self._converse,
            process_request=self._admit,
            # Bounds the opening itself, and lets plain answers take longer.
            make=self._connection,
            open_timeout=None,
            logger="diffc_server.websockets",
            subprotocol=SUBPROTOCOL,
            origins=None,  # the door has seen to it
            close_timeout=self._settings.grace,
            tls=self._settings.certificate.context if self._settings.certificate else None,
            # Else somebody could begin to speak TLS and never go on, or never hang up.
            tls_open_timeout=OPENING,
            tls_close_timeout=min(self._settings.grace, GOODBYE) or None,
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._listener is not None
        return self._listener.port

    @property
    def url(self) -> str:
        """Its address, without a picture's name."""
        host = self._settings.host
        host = f"[{host}]" if ":" in host else host
        scheme = "ws" if self._settings.certificate is None else "wss"
        return f"{scheme}://{host}:{self.port}"

    @property
    def connections(self) -> int:
        """Receivers connected at the moment, plain HTTP included."""
        return len(self._conversations) + len(self._exchanges)

    async def drain(self) -> None:
        """Take no more receivers, tell those that are here, close.

        What has been built for them is still sent, for as long as the grace lasts.
        """
        if self._listener is None:
            return
        self.figures.draining = True
        self._listener.close(close_connections=False)
        for conversation in self._conversations:
            conversation.drain()
        for exchange in self._exchanges:
            exchange.drain()
        await self._finish()
        await self._pipeline.save()
        self._pipeline.close()

    async def abort(self) -> None:
        """Stop as if killed: no word to anybody."""
        if self._listener is not None:
            self._listener.close(close_connections=False)
            self._cut_off()
            await self._finish()
            self._pipeline.close()

    async def reread(self) -> None:
        """Read tokens and certificate again if they have changed; who lost a token has to go."""
        if self._settings.certificate is not None:
            await asyncio.to_thread(self._settings.certificate.reread)
        await asyncio.to_thread(self._reception.reread)
        for conversation in tuple(self._conversations):
            if not self._reception.welcome(conversation.visit):
                conversation.dismiss()
        for exchange in tuple(self._exchanges):
            if not self._reception.welcome(exchange.visit):
                exchange.abort()

    def look_again(self) -> None:
        """Have :meth:`reread` done now, and return at once."""
        if self._listener is not None:
            self._reloader.look_soon()

    async def _finish(self) -> None:
        assert self._listener is not None
        await self._reloader.stop()
        try:
            async with asyncio.timeout(self._settings.grace):
                await asyncio.shield(self._listener.wait_closed())
        except TimeoutError:
            logger.warning("%d connections were still open, and are cut", len(self._open))
            self._cut_off()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CUTTING):
                    await asyncio.shield(self._listener.wait_closed())
        if self._service.comparison is not None:
            self._service.comparison.close()
        self._listener = None
        self._spare.close()

    def _cut_off(self) -> None:
        # Those too that have yet to ask for something, or do not answer to a goodbye.
        for connection in tuple(self._open):
            connection.transport.abort()
        self.admission.drop_newcomers()  # some speak no TLS yet, and are not among them

    async def _converse(self, websocket: ServerConnection) -> None:
        assert isinstance(websocket, Arrival)
        conversation = Conversation(
            websocket,
            self._catalogue,
            self._pipeline,
            self._terms,
            self.figures,
            websocket.visit,
        )
        self._conversations.add(conversation)
        self.figures.sockets += 1
        self.figures.opened["websocket"] += 1
        try:
            await conversation.run()
        except Exception:
            # A bug, and no reason to disturb the others.
            logger.exception("a conversation failed")
        finally:
            self._conversations.discard(conversation)
            self.figures.sockets -= 1
            if websocket.state is not State.CLOSED:
                # Or else it would keep its place for as long as a drain may take.
                asyncio.get_running_loop().call_later(GOODBYE, conversation.abort)

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        unavailable = http.HTTPStatus.SERVICE_UNAVAILABLE
        assert isinstance(connection, Arrival)
        crowded = self._gate.refuse_crowd(connection)
        if crowded is not None:
            return crowded
        if any("websocket" in value.lower() for value in request.headers.get_all("Upgrade")):
            return self._gate.admit_socket(connection, request)
        if self._listener is None or not self._listener.is_serving():
            self.figures.turned_away["draining"] += 1
            return connection.respond(unavailable, "shutting down\n")
        refusal = self._gate.admit_request(connection, request)
        if refusal is not None:
            return refusal
        # From here on it is the exchange that knows how long things may take.
        connection.deadline.reschedule(None)
        exchange = Exchange(connection, request, self._service, connection.visit)
        self._exchanges.add(exchange)
        self.figures.exchanges += 1
        self.figures.opened["http"] += 1
        try:
            with bound_contextvars(connection=connection_id()):
                return await exchange.run()
        finally:
            self._exchanges.discard(exchange)
            self.figures.exchanges -= 1

    def _connection(self, *arguments: Any, **more: Any) -> Arrival:
        return Arrival(*arguments, admission=self.admission, among=self._open, **more)
