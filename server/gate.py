"""Admits requests or refuses them, before anything looks at what they ask for."""

from __future__ import annotations

import http
import logging
from collections.abc import Iterable

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from diffc_stream.transport.admission import Admission
from diffc_stream.transport.listener import is_local
from diffc_viewer import OriginPolicy

from .auth.access_control import RETRY_AFTER, AccessControl, Refusal
from .auth.options import is_origin
from .auth.quotas import ConnectionQuota
from .ops.metrics import SenderMetrics
from .websocket.handshake import IncomingConnection, refusal_response

logger = logging.getLogger("diffc_server")


class Gate:
    """Admits requests, or answers with the reason for a refusal."""

    def __init__(
        self,
        reception: AccessControl,
        admission: Admission,
        metrics: SenderMetrics,
        *,
        names: Iterable[str],
        origins: Iterable[str],
        pages: bool,
        secure: bool,
        strict: bool,
    ) -> None:
        """Admit clients that ``reception`` accepts, as long as ``admission`` has room.

        ``names``, ``origins``, ``pages`` and ``strict`` are for :attr:`origin_policy`; ``secure``
        says that requests come over TLS.
        """
        self.origin_policy = OriginPolicy(
            names=names, pages=pages, origins=origins, secure=secure, strict=strict
        )
        """Decides which web pages may send requests, and to which host names."""
        self._reception = reception
        self._admission = admission
        self._metrics = metrics

    def refuse_crowd(self, connection: ServerConnection) -> Response | None:
        """Return a refusal with Retry-After if there is no room for the connection, else None."""
        if not (self._admission.full or self._admission.pressed):
            return None
        self._metrics.turned_away["full" if self._admission.full else "short"] += 1
        text = "too many receivers" if self._admission.full else "too many open files"
        refusal = Refusal(
            status=http.HTTPStatus.SERVICE_UNAVAILABLE,
            text=f"{text}: come back later",
            after=RETRY_AFTER,
        )
        return refusal_response(connection, refusal)

    def admit_socket(self, connection: IncomingConnection, request: Request) -> Response | None:
        """Admit a WebSocket (return None), or return the response that refuses it.

        Pages of other sites are refused here, because browsers let any page open a WebSocket to
        any host.
        """
        objection = self._objection(connection, request, socket=True)
        if objection is None:
            return self._admit(connection, request)
        self._metrics.turned_away["forbidden"] += 1
        text = _why(objection, request)
        logger.warning("%s was refused (HTTP %d): %s", connection.peer, objection, text)
        return connection.respond(objection, f"{text}\n")

    def admit_request(self, connection: IncomingConnection, request: Request) -> Response | None:
        """Admit a plain HTTP request (return None), or return the response that refuses it.

        A request with a wrong host or origin passes without being asked for a token: the handler
        refuses it.
        """
        if self._objection(connection, request) is not None:
            return None
        return self._admit(connection, request)

    def _objection(
        self, connection: ServerConnection, request: Request, *, socket: bool = False
    ) -> http.HTTPStatus | None:
        return self.origin_policy.refusal(
            request.headers.get_all,
            path=request.path.partition("?")[0],
            local=is_local(connection),
            old=request.protocol == "HTTP/1.0",
            socket=socket,
        )

    def _admit(self, connection: IncomingConnection, request: Request) -> Response | None:
        """Check token and limits; return None or the refusal."""
        fields = request.headers.get_all
        host, origins = next(iter(fields("Host")), ""), fields("Origin")
        # Browsers always send Origin with a WebSocket: one without it comes from a program.
        own = bool(origins) if fields("Upgrade") else True
        own = own and all(self.origin_policy.same(origin, host) for origin in origins)
        found = self._reception.admit(connection.peer, fields, own=own)
        if isinstance(found, ConnectionQuota):
            connection.quota = found
            connection.settle()
            return None
        why = "unauthorized" if found.status is http.HTTPStatus.UNAUTHORIZED else "limited"
        self._metrics.turned_away[why] += 1
        return refusal_response(connection, found)


def _why(objection: http.HTTPStatus, request: Request) -> str:
    """Return why a WebSocket is refused, and which option would admit it."""
    if objection is http.HTTPStatus.MISDIRECTED_REQUEST:
        return "the host name is not known here: diffc-server --name HOST adds one"
    if objection is not http.HTTPStatus.FORBIDDEN:
        return "it needs exactly one Host header"
    origin = next(iter(request.headers.get_all("Origin")), "")
    if not is_origin(origin):  # keep arbitrary text out of the terminal
        return "pages without a site, such as local files, are refused"
    return f"pages of other sites are refused: diffc-server --origin {origin} admits this one"
