"""The port for monitoring a daemon: metrics and health.  It is never the port for receivers.

/metrics    metrics in Prometheus' text format
/livez      200 if the event loop answers at all
/readyz     200 if the daemon can do its work, else 503 and one line that says why not
"""

from __future__ import annotations

import asyncio
import http
import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import Protocol, Self

from websockets.asyncio.server import Server, ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from diffc_stream.flags import Endpoint
from diffc_stream.opening import is_passing

from .admission import Admission
from .listener import CountedConnection, PortListener, is_local
from .websocket import listen

MOST_CONNECTIONS = 32
OPENING = 5.0
"""Seconds that a request may take to arrive."""
PATIENCE = 5.0
"""Seconds that a check may take; if it takes longer, the daemon counts as not ready."""

Check = Callable[[], str]
"""Returns why the daemon is not ready, in a few words, or "".  Called on a worker thread."""


class Metrics(Protocol):
    """The metrics of a daemon."""

    media_type: str
    """Media type of the text."""
    draining: bool
    """Whether the daemon has been told to stop."""

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        ...


class OriginPolicy(Protocol):
    """Decides which requests are allowed."""

    def refusal(
        self, fields: Callable[[str], list[str]], *, path: str, local: bool, old: bool
    ) -> http.HTTPStatus | None:
        """Return the status to refuse a request with, or None; see diffc_viewer.OriginPolicy."""
        ...


class StatusPort:
    """Answers monitoring requests for as long as it is open."""

    def __init__(
        self,
        endpoint: Endpoint,
        metrics: Metrics,
        check: Check,
        origin_policy: OriginPolicy,
        *,
        logger: logging.Logger,
    ) -> None:
        """Prepare to listen; port 0 is any free one.

        Requests that ``origin_policy`` refuses get no metrics.
        """
        self._endpoint = endpoint
        self._metrics = metrics
        self._check = check
        self._checking: asyncio.Future[str] | None = None
        self._origin_policy = origin_policy
        self._logger = logger
        self._admission = Admission(MOST_CONNECTIONS, logger=logger)
        self._listener = PortListener(self._admission)

    async def __aenter__(self) -> Self:
        """Listen.  Raises OSError if the port is taken."""
        await self._listener.open(self._endpoint.host, self._endpoint.port, self._serve)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        self._admission.drop_newcomers()
        if self._checking is not None:
            self._checking.cancel()  # It may hang on a disk: do not wait for it.
        await self._listener.wait_closed()

    async def _serve(self, listening: socket.socket) -> Server:
        return await listen(
            listening,
            _nothing,
            process_request=self._answer,
            make=partial(CountedConnection, admission=self._admission),
            open_timeout=OPENING,
            logger=f"{self._logger.name}.status",
        )

    @property
    def url(self) -> str:
        """The address of the port."""
        return f"http://{Endpoint(host=self._endpoint.host, port=self._listener.port)}"

    async def _answer(self, connection: ServerConnection, request: Request) -> Response:
        if self._admission.full:
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "too many ask\n")
        assert isinstance(connection, CountedConnection)
        connection.settle()
        objection = self._origin_policy.refusal(
            request.headers.get_all,
            path=request.path.partition("?")[0],
            local=is_local(connection),
            old=request.protocol == "HTTP/1.0",
        )
        if objection is not None:
            return connection.respond(objection, f"{objection.phrase}\n")
        if request.method != "GET":
            return connection.respond(http.HTTPStatus.METHOD_NOT_ALLOWED, "GET is all there is\n")
        match request.path.partition("?")[0]:
            case "/metrics":
                return self._metrics_response()
            case "/livez":
                return connection.respond(http.HTTPStatus.OK, "alive\n")
            case "/readyz":
                problem = "draining" if self._metrics.draining else await self._problem()
                status = http.HTTPStatus.SERVICE_UNAVAILABLE if problem else http.HTTPStatus.OK
                return connection.respond(status, f"{problem or 'ready'}\n")
        return connection.respond(http.HTTPStatus.NOT_FOUND, "/metrics, /livez, /readyz\n")

    def _metrics_response(self) -> Response:
        text = self._metrics.text()
        headers = Headers(
            {
                "Content-Type": self._metrics.media_type,
                "Content-Length": str(len(text)),
                "Connection": "close",
            }
        )
        return Response(http.HTTPStatus.OK, "OK", headers, text)

    async def _problem(self) -> str:
        """Return why the daemon is not ready, or "".

        Requests that come meanwhile wait for the same check, so that a disk that hangs holds only
        one thread.
        """
        if self._checking is None:
            self._checking = asyncio.create_task(asyncio.to_thread(self._check))
            self._checking.add_done_callback(self._checked)
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.shield(self._checking)
        except TimeoutError:
            return "its disks do not answer"
        except OSError as error:
            return error.strerror or "its disks fail"
        except (RuntimeError, MemoryError) as error:
            if is_passing(error):
                return "it has no threads or no memory left"
            raise

    def _checked(self, done: asyncio.Future[str]) -> None:
        self._checking = None
        if not done.cancelled():
            done.exception()  # Mark it as retrieved: the client may have gone.


async def _nothing(_: ServerConnection) -> None:
    """Never called: every request is answered before it could become a WebSocket."""
