"""A connection during its opening, until its request has been read and admitted."""

from __future__ import annotations

import asyncio
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Response

from diffc_stream.transport.listener import CountedConnection
from diffc_stream.transport.websocket import OPENING

from ..auth.access_control import Refusal
from ..auth.quotas import ConnectionQuota


class IncomingConnection(CountedConnection):
    """A connection whose opening handshake has a deadline that can be moved."""

    deadline: asyncio.Timeout

    def __init__(self, *arguments: Any, among: set[IncomingConnection], **more: Any) -> None:
        """Prepare a connection that is in the set ``among`` as long as it is open."""
        super().__init__(*arguments, **more)
        self.quota: ConnectionQuota | None = None
        """The connection's limits, once it has been admitted."""
        self._among = among

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._among.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._among.discard(self)
        if self.quota is not None:
            self.quota.release()
        super().connection_lost(exc)

    async def handshake(self, *arguments: Any, **more: Any) -> None:
        async with asyncio.timeout(OPENING) as self.deadline:
            await super().handshake(*arguments, **more)


def refusal_response(connection: ServerConnection, refusal: Refusal) -> Response:
    """Return the HTTP response for a refusal."""
    response = connection.respond(refusal.status, f"{refusal.text}\n")
    for name, value in refusal.fields:
        response.headers[name] = value
    return response
