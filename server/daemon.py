"""The sender daemon: listens, and serves each receiver over a WebSocket or plain HTTP."""

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
from .http.handler import HttpService, RequestHandler
from .ops.metrics import SenderMetrics
from .websocket.connection import ReceiverConnection, connection_id
from .websocket.handshake import IncomingConnection

MOST_CONNECTIONS = 2000
"""Default for how many receivers may be connected at once."""
DRAIN_GRACE = 10.0
"""Default for how many seconds receivers get to close after they are told of a shutdown."""
CUTTING = 2.0
"""Seconds that closing the remaining connections may take."""
GOODBYE = 10.0
"""Seconds that a receiver gets to answer a closing handshake; then it counts as gone."""

logger = logging.getLogger("diffc_server")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenSettings:
    """Where a sender listens, and which clients it admits."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 is any free one."""
    terms: Terms | None = None
    connections: int = MOST_CONNECTIONS
    """How many at once; more are told to come back later."""
    names: Iterable[str] = ()
    """Host names under which browsers may reach this machine, beside its address."""
    grace: float = DRAIN_GRACE
    """Longest time to drain, in seconds."""
    reuse_port: bool = False
    """Whether other processes may listen on the same port; new connections then go to those that
    are not draining."""
    reception: AccessControl | None = None
    """Checks tokens and limits; None admits every client within the defaults of Limits."""
    certificate: Certificate | None = None
    """With one, all connections use TLS."""
    origins: Iterable[str] = ()
    """Other sites whose pages may open WebSockets here."""
    strict: bool = False
    """Whether programs too have to use one of the host names."""


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

    Leaving the block drains it: it tells the receivers, which come back later for the rest.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        pipeline: Pipeline,
        *,
        site: Site | None = None,
        comparison: Comparison | None = None,
        metrics: SenderMetrics | None = None,
        **options: Unpack[ListenOptions],
    ) -> None:
        """Prepare to listen, as ``options`` say: fields of :class:`ListenSettings`.

        With a ``site``, browsers find the viewer here; with a ``comparison``, also the same
        pictures in other formats.
        """
        self.metrics = metrics or SenderMetrics()
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
        """Counts all connections, those that have not asked for anything yet included."""
        self._gate = Gate(
            self._reception,
            self.admission,
            self.metrics,
            names=settings.names,
            origins=settings.origins,
            pages=site is not None,
            secure=settings.certificate is not None,
            strict=settings.strict,
        )
        self._reloaders = self._files_to_reread()
        self._receivers: set[ReceiverConnection] = set()
        self._requests: set[RequestHandler] = set()
        self._service = HttpService(
            catalogue=catalogue,
            pipeline=pipeline,
            origin_policy=self._gate.origin_policy,
            site=site,
            comparison=comparison,
            idle=self._terms.idle,
            metrics=self.metrics,
        )
        self._open: set[IncomingConnection] = set()
        """All connections, those that are being opened or closed included."""
        self._listener: PortListener | None = None
        self._report_to(self.metrics)

    def _files_to_reread(self) -> list[Reloader]:
        files = []
        if self._settings.certificate is not None:
            files.append(Reloader("the certificate", self._settings.certificate.reread))
        if self._reception.guarded:
            files.append(Reloader("the tokens", self._reception.reread, self._dismiss_expired))
        return files

    def _report_to(self, metrics: SenderMetrics) -> None:
        """Connect the metrics to what the daemon itself counts."""
        metrics.admission = self.admission
        metrics.beyond = lambda: self._catalogue.left_out
        metrics.unnamed = lambda: self._catalogue.unserved
        metrics.buffered = lambda: self._service.buffers.nbytes

    async def __aenter__(self) -> Self:
        """Start to listen.  Raises OSError if the port is taken, or cannot be shared."""
        listener = PortListener(self.admission)
        at = self._settings
        await listener.open(at.host, at.port, self._serve, reuse_port=at.reuse_port)
        self._spare.open()
        self._listener = listener
        for file in self._reloaders:
            file.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain()

    async def _serve(self, listening: socket.socket) -> Server:
        return await listen(
            listening,
            self._serve_receiver,
            process_request=self._admit,
            # The connection limits the opening itself, so that plain HTTP answers may take longer.
            make=self._connection,
            open_timeout=None,
            logger="diffc_server.websockets",
            subprotocol=SUBPROTOCOL,
            origins=None,  # the gate checks these
            close_timeout=self._settings.grace,
            tls=self._settings.certificate.context if self._settings.certificate else None,
            # Otherwise a client could start a TLS handshake and never finish it, or never close.
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
        """The daemon's address, without a picture's name."""
        host = self._settings.host
        host = f"[{host}]" if ":" in host else host
        scheme = "ws" if self._settings.certificate is None else "wss"
        return f"{scheme}://{host}:{self.port}"

    @property
    def connections(self) -> int:
        """Receivers connected at the moment, plain HTTP included."""
        return len(self._receivers) + len(self._requests)

    async def drain(self) -> None:
        """Accept no more receivers, tell the connected ones to come back later, and close.

        What has been encoded for them is still sent, within the seconds of ``grace``.
        """
        if self._listener is None:
            return
        self.metrics.draining = True
        self._listener.close(close_connections=False)
        for receiver in self._receivers:
            receiver.drain()
        for handler in self._requests:
            handler.drain()
        await self._finish()
        await self._pipeline.save()
        self._pipeline.close()

    async def abort(self) -> None:
        """Stop as if killed, without telling the receivers."""
        if self._listener is not None:
            self._listener.close(close_connections=False)
            self._cut_off()
            await self._finish()
            self._pipeline.close()

    async def reread(self) -> None:
        """Read changed tokens and certificate again; drop clients whose token is not valid now."""
        await asyncio.gather(*(file.check() for file in self._reloaders))

    def _dismiss_expired(self) -> None:
        """Drop clients whose token is not valid now."""
        for receiver in tuple(self._receivers):
            if not self._reception.still_admits(receiver.quota):
                receiver.dismiss()
        for handler in tuple(self._requests):
            if not self._reception.still_admits(handler.quota):
                handler.abort()

    def look_again(self) -> None:
        """Start :meth:`reread` and return at once."""
        if self._listener is not None:
            for file in self._reloaders:
                file.check_soon()

    async def _finish(self) -> None:
        assert self._listener is not None
        for file in self._reloaders:
            await file.stop()
        try:
            async with asyncio.timeout(self._settings.grace):
                await asyncio.shield(self._listener.wait_closed())
        except TimeoutError:
            logger.warning("%d connections are still open, and are dropped", len(self._open))
            self._cut_off()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CUTTING):
                    await asyncio.shield(self._listener.wait_closed())
        await self._catalogue.changes.close()
        if self._service.comparison is not None:
            self._service.comparison.close()
        self._listener = None
        self._spare.close()

    def _cut_off(self) -> None:
        # These include connections that have asked for nothing yet, or do not answer a close.
        for connection in tuple(self._open):
            connection.transport.abort()
        self.admission.drop_newcomers()  # those still in the TLS handshake

    async def _serve_receiver(self, websocket: ServerConnection) -> None:
        assert isinstance(websocket, IncomingConnection)
        receiver = ReceiverConnection(
            websocket,
            self._catalogue,
            self._pipeline,
            self._terms,
            self.metrics,
            websocket.quota,
        )
        self._receivers.add(receiver)
        self.metrics.sockets += 1
        self.metrics.opened["websocket"] += 1
        try:
            await receiver.run()
        except Exception:
            # A bug, which must not disturb the other connections.
            logger.exception("a connection failed")
        finally:
            self._receivers.discard(receiver)
            self.metrics.sockets -= 1
            if websocket.state is not State.CLOSED:
                # Otherwise it would hold its place for as long as a drain may take.
                asyncio.get_running_loop().call_later(GOODBYE, receiver.abort)

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        unavailable = http.HTTPStatus.SERVICE_UNAVAILABLE
        assert isinstance(connection, IncomingConnection)
        crowded = self._gate.refuse_crowd(connection)
        if crowded is not None:
            return crowded
        if any("websocket" in value.lower() for value in request.headers.get_all("Upgrade")):
            return self._gate.admit_socket(connection, request)
        if self._listener is None or not self._listener.is_serving():
            self.metrics.turned_away["draining"] += 1
            return connection.respond(unavailable, "shutting down\n")
        refusal = self._gate.admit_request(connection, request)
        if refusal is not None:
            return refusal
        # From here on the handler sets its own time limits.
        connection.deadline.reschedule(None)
        handler = RequestHandler(connection, request, self._service, connection.quota)
        self._requests.add(handler)
        self.metrics.requests += 1
        self.metrics.opened["http"] += 1
        try:
            with bound_contextvars(connection=connection_id()):
                return await handler.run()
        finally:
            self._requests.discard(handler)
            self.metrics.requests -= 1

    def _connection(self, *arguments: Any, **more: Any) -> IncomingConnection:
        return IncomingConnection(*arguments, admission=self.admission, among=self._open, **more)
