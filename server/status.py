"""How a sender is, for who watches it: a port of its own, never the one that receivers use.

/metrics    what it counts, in Prometheus' text format
/livez      200 if its event loop answers at all
/readyz     200 if receivers should be sent here, else 503 and one line that says why not
"""

from __future__ import annotations

import asyncio
import http
import logging
from collections.abc import Callable
from typing import Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from diffc_stream.flags import Endpoint

from .figures import MEDIA_TYPE, Figures

MOST_CONNECTIONS = 32
OPENING = 5.0
"""Seconds that a request may take to arrive."""
PATIENCE = 5.0
"""Seconds that a check may take: what takes longer than that is not ready."""

Check = Callable[[], str]
"""Returns why the sender is not ready, in a few words, or nothing.  Called on a worker thread."""


class StatusPort:
    """Answers who watches, for as long as it is open."""

    def __init__(self, endpoint: Endpoint, figures: Figures, check: Check) -> None:
        """Prepare to listen; port 0 is any free one."""
        self._endpoint = endpoint
        self._figures = figures
        self._check = check
        self._answering = 0
        self._checking: asyncio.Future[str] | None = None
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        """Listen.  Raises OSError if the port is taken."""
        self._server = await serve(
            _nothing,
            self._endpoint.host,
            self._endpoint.port,
            process_request=self._answer,
            open_timeout=OPENING,
            compression=None,
            logger=_quiet_logger(),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Its address."""
        assert self._server is not None
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return f"http://{Endpoint(host=self._endpoint.host, port=port)}"

    async def _answer(self, connection: ServerConnection, request: Request) -> Response:
        if self._answering >= MOST_CONNECTIONS:
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "too many ask\n")
        self._answering += 1
        try:
            return await self._answered(connection, request)
        finally:
            self._answering -= 1

    async def _answered(self, connection: ServerConnection, request: Request) -> Response:
        if request.method != "GET":
            return connection.respond(http.HTTPStatus.METHOD_NOT_ALLOWED, "GET is all there is\n")
        match request.path.partition("?")[0]:
            case "/metrics":
                return _metrics(self._figures.text())
            case "/livez":
                return connection.respond(http.HTTPStatus.OK, "alive\n")
            case "/readyz":
                problem = "draining" if self._figures.draining else await self._problem()
                status = http.HTTPStatus.SERVICE_UNAVAILABLE if problem else http.HTTPStatus.OK
                return connection.respond(status, f"{problem or 'ready'}\n")
        return connection.respond(http.HTTPStatus.NOT_FOUND, "/metrics, /livez, /readyz\n")

    async def _problem(self) -> str:
        """Return why the sender is not ready, or nothing.

        All who ask meanwhile wait for the same check: a disk that hangs holds one thread.
        """
        if self._checking is None:
            self._checking = asyncio.ensure_future(asyncio.to_thread(self._check))
            self._checking.add_done_callback(self._checked)
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.shield(self._checking)
        except TimeoutError:
            return "its disks do not answer"
        except OSError as error:
            return error.strerror or "its disks fail"

    def _checked(self, done: asyncio.Future[str]) -> None:
        self._checking = None
        if not done.cancelled():
            done.exception()  # whoever asked may have gone


def _metrics(text: bytes) -> Response:
    headers = Headers(
        {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(text)), "Connection": "close"}
    )
    return Response(http.HTTPStatus.OK, "OK", headers, text)


async def _nothing(_: ServerConnection) -> None:
    """Never called: every request is answered before it could become a WebSocket."""


def _quiet_logger() -> logging.Logger:
    quiet = logging.getLogger("diffc_server.status")
    quiet.setLevel(logging.CRITICAL)
    return quiet
