"""Whether a request is let in, before anybody looks at what it asks for."""

from __future__ import annotations

import http
import logging
from collections.abc import Iterable

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from diffc_stream.transport.admission import Admission
from diffc_stream.transport.listener import is_local
from diffc_viewer import Door

from .auth.access_control import RETRY_AFTER, AccessControl, Refusal
from .auth.options import is_origin
from .auth.quotas import Visit
from .ops.metrics import Figures
from .websocket.handshake import Arrival, refused

logger = logging.getLogger("diffc_server")


class Gate:
    """Lets requests in, or answers why not."""

    def __init__(
        self,
        reception: AccessControl,
        admission: Admission,
        figures: Figures,
        *,
        names: Iterable[str],
        origins: Iterable[str],
        pages: bool,
        secure: bool,
        strict: bool,
    ) -> None:
        """Prepare to let in whom ``reception`` knows, as long as ``admission`` has room.

        ``names``, ``origins``, ``pages`` and ``strict`` are for :attr:`door`; ``secure``: requests
        come over TLS.
        """
        self.door = Door(names=names, pages=pages, origins=origins, secure=secure, strict=strict)
        """Which pages of browsers may ask, and under which names of this machine."""
        self._reception = reception
        self._admission = admission
        self._figures = figures

    def refuse_crowd(self, connection: ServerConnection) -> Response | None:
        """Say that there is no room for another, and when there may be; None: there is."""
        if not (self._admission.full or self._admission.pressed):
            return None
        self._figures.turned_away["full" if self._admission.full else "short"] += 1
        text = "too many receivers" if self._admission.full else "too many open files"
        refusal = Refusal(
            status=http.HTTPStatus.SERVICE_UNAVAILABLE,
            text=f"{text}: come back later",
            after=RETRY_AFTER,
        )
        return refused(connection, refusal)

    def admit_socket(self, connection: Arrival, request: Request) -> Response | None:
        """Let a WebSocket in, or answer why not.

        It is refused to pages of other sites, which browsers let ask anybody.
        """
        objection = self._objection(connection, request, socket=True)
        if objection is None:
            return self._admit(connection, request)
        self._figures.turned_away["forbidden"] += 1
        text = _why(objection, request)
        logger.warning("%s was refused (HTTP %d): %s", connection.peer, objection, text)
        return connection.respond(objection, f"{text}\n")

    def admit_request(self, connection: Arrival, request: Request) -> Response | None:
        """Let a plain request in, or answer why not.

        Whoever has no business here is told so by who answers, and not asked for a token.
        """
        if self._objection(connection, request) is not None:
            return None
        return self._admit(connection, request)

    def _objection(
        self, connection: ServerConnection, request: Request, *, socket: bool = False
    ) -> http.HTTPStatus | None:
        return self.door.objection(
            request.headers.get_all,
            path=request.path.partition("?")[0],
            local=is_local(connection),
            old=request.protocol == "HTTP/1.0",
            socket=socket,
        )

    def _admit(self, connection: Arrival, request: Request) -> Response | None:
        """Let somebody in, or answer why not."""
        fields = request.headers.get_all
        host, origins = next(iter(fields("Host")), ""), fields("Origin")
        # Of a WebSocket every browser says which page has opened it.
        own = bool(origins) if fields("Upgrade") else True
        own = own and all(self.door.same(origin, host) for origin in origins)
        found = self._reception.receive(connection.peer, fields, own=own)
        if isinstance(found, Visit):
            connection.visit = found
            connection.settle()
            return None
        why = "unauthorized" if found.status is http.HTTPStatus.UNAUTHORIZED else "limited"
        self._figures.turned_away[why] += 1
        return refused(connection, found)


def _why(objection: http.HTTPStatus, request: Request) -> str:
    """Return what a WebSocket is refused for, and which option lets it in."""
    if objection is http.HTTPStatus.MISDIRECTED_REQUEST:
        return "it is called by a name that it does not have: diffc-server --name HOST adds one"
    if objection is not http.HTTPStatus.FORBIDDEN:
        return "it has to be told which host is meant, once"
    origin = next(iter(request.headers.get_all("Origin")), "")
    if not is_origin(origin):  # what is shown to a terminal is none of a stranger's choice
        return "pages that belong to no site, such as files, are not let in"
    return f"pages of other sites are not let in: diffc-server --origin {origin} would let this one"
