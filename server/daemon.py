"""The sender daemon: listens, and holds a conversation with every receiver, or answers it once."""

from __future__ import annotations

import asyncio
import http
import logging
import secrets
from collections.abc import Iterable
from typing import Any, Self

from structlog.contextvars import bound_contextvars
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from diffc_stream.session import MAX_MESSAGE, SUBPROTOCOL, Terms
from diffc_viewer import Door, Site

from .catalogue import Catalogue
from .comparison import Comparison
from .conversation import Conversation, connection_id
from .exchange import Exchange, is_local
from .figures import Figures
from .pipeline import Pipeline

MOST_CONNECTIONS = 2000
"""Receivers at once, unless told otherwise."""
BACKLOG = 1024
"""Connections that the system holds until they are accepted: a thousand may come at once."""
OPENING = 10.0
"""Seconds that a request may take to arrive, and a WebSocket to be opened."""
DRAIN_GRACE = 10.0
"""Seconds, unless told otherwise, that receivers get to take note of a shutdown."""

logger = logging.getLogger("diffc_server")


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
        host: str = "127.0.0.1",
        port: int = 0,
        terms: Terms | None = None,
        connections: int = MOST_CONNECTIONS,
        names: Iterable[str] = (),
        site: Site | None = None,
        comparison: Comparison | None = None,
        figures: Figures | None = None,
        grace: float = DRAIN_GRACE,
        reuse_port: bool = False,
    ) -> None:
        """Prepare to listen on ``port`` of ``host``; 0 is any free port.

        No more than so many ``connections`` are taken at once; others are told to come later.
        With a ``site``, browsers find the viewer here, under the address or one of ``names``; with
        a ``comparison`` other formats' pictures too.  Draining takes at most ``grace`` seconds.
        With ``reuse_port`` other processes may listen on the same port: who connects meets any of
        them that is not draining.
        """
        self.figures = figures or Figures()
        self._grace = grace
        self._reuse_port = reuse_port
        self._catalogue = catalogue
        self._pipeline = pipeline
        self._host = host
        self._port = port
        self._terms = terms or Terms()
        self._most = connections
        self._site = site
        self._comparison = comparison
        self._door = Door(names=names, pages=site is not None)
        self._conversations: set[Conversation] = set()
        self._exchanges: set[Exchange] = set()
        self._epoch = secrets.token_hex(8)
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        """Listen.  Raises OSError if the port is taken, or cannot be shared."""
        self._server = await serve(
            self._converse,
            self._host,
            self._port,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            process_request=self._admit,
            # Bounds the opening itself, and lets plain answers take longer.
            create_connection=_Connection,
            open_timeout=None,
            backlog=BACKLOG,
            # The door has seen to it.
            origins=None,
            # What is sent is incompressible, and inflating can be turned against us.
            compression=None,
            # Pings queue behind data and kill slow links; the session has its own signs of life.
            ping_interval=None,
            ping_timeout=None,
            close_timeout=self._grace,
            reuse_port=self._reuse_port or None,
            max_size=MAX_MESSAGE,
            max_queue=8,
            write_limit=4096,
            # Failed handshakes are other people's mistakes, not errors of this daemon.
            logger=_quiet_logger(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain()

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Its address, without a picture's name."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"ws://{host}:{self.port}"

    @property
    def connections(self) -> int:
        """Receivers connected at the moment, plain HTTP included."""
        return len(self._conversations) + len(self._exchanges)

    async def drain(self) -> None:
        """Take no more receivers, tell those that are here, close.

        What has been built for them is still sent, for as long as the grace lasts.
        """
        if self._server is None:
            return
        self.figures.draining = True
        self._server.close(close_connections=False)
        for conversation in self._conversations:
            conversation.drain()
        for exchange in self._exchanges:
            exchange.drain()
        await self._finish()
        await self._pipeline.save()
        self._pipeline.close()

    async def abort(self) -> None:
        """Stop as if killed: no word to anybody."""
        if self._server is not None:
            self._server.close(close_connections=False)
            self._cut_off()
            await self._finish()
            self._pipeline.close()

    async def _finish(self) -> None:
        assert self._server is not None
        try:
            async with asyncio.timeout(self._grace):
                await asyncio.shield(self._server.wait_closed())
        except TimeoutError:
            logger.warning("%d connections were still open, and are cut", self.connections)
            self._cut_off()
            await self._server.wait_closed()
        if self._comparison is not None:
            self._comparison.close()
        self._server = None

    def _cut_off(self) -> None:
        for conversation in self._conversations:
            conversation.abort()
        for exchange in self._exchanges:
            exchange.abort()

    async def _converse(self, websocket: ServerConnection) -> None:
        conversation = Conversation(
            websocket, self._catalogue, self._pipeline, self._terms, self.figures
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

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        unavailable = http.HTTPStatus.SERVICE_UNAVAILABLE
        if self.connections >= self._most:
            self.figures.turned_away["full"] += 1
            return connection.respond(unavailable, "too many receivers\n")
        if any("websocket" in value.lower() for value in request.headers.get_all("Upgrade")):
            return self._turned_away(connection, request)
        if self._server is None or not self._server.is_serving():
            self.figures.turned_away["draining"] += 1
            return connection.respond(unavailable, "shutting down\n")
        assert isinstance(connection, _Connection)
        # From here on it is the exchange that knows how long things may take.
        connection.deadline.reschedule(None)
        exchange = Exchange(
            connection,
            request,
            self._catalogue,
            self._pipeline,
            door=self._door,
            site=self._site,
            comparison=self._comparison,
            epoch=self._epoch,
            idle=self._terms.idle,
            figures=self.figures,
        )
        self._exchanges.add(exchange)
        self.figures.exchanges += 1
        self.figures.opened["http"] += 1
        try:
            with bound_contextvars(connection=connection_id()):
                return await exchange.run()
        finally:
            self._exchanges.discard(exchange)
            self.figures.exchanges -= 1

    def _turned_away(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse a WebSocket to pages of other sites, which browsers let ask anybody.

        Receivers are not asked how they call this machine: they have no pages to be deceived by.
        """
        if "Origin" not in request.headers:
            return None
        objection = self._door.objection(
            request.headers.get_all, path=request.path, local=is_local(connection), socket=True
        )
        if objection is None:
            return None
        self.figures.turned_away["forbidden"] += 1
        return connection.respond(objection, "pages of other sites have no business here\n")


class _Connection(ServerConnection):
    """A connection whose opening has a deadline that can be moved."""

    deadline: asyncio.Timeout

    async def handshake(self, *arguments: Any, **more: Any) -> None:
        async with asyncio.timeout(OPENING) as self.deadline:
            await super().handshake(*arguments, **more)


def _quiet_logger() -> logging.Logger:
    quiet = logging.getLogger("diffc_server.websockets")
    quiet.setLevel(logging.CRITICAL)
    return quiet
