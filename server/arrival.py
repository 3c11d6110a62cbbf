"""A connection from when it has been made until it is known what it is for."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Response

from diffc_stream.entrance import counted
from diffc_stream.intake import Intake, Place
from diffc_stream.websocket import PacedServerConnection

from .reception import Refusal
from .visits import Visit

OPENING = 10.0
"""Seconds that a request may take to arrive, and a WebSocket to be opened."""


class Arrival(PacedServerConnection):
    """A connection whose opening has a deadline that can be moved, and a place that it takes."""

    deadline: asyncio.Timeout

    def __init__(self, *arguments: Any, intake: Intake, among: set[Arrival], **more: Any) -> None:
        """Prepare one that is ``among`` the others for as long as it is open."""
        super().__init__(*arguments, **more)
        self.peer = "somebody"
        """Where it comes from."""
        self.visit: Visit | None = None
        """What it may have, once it was let in."""
        self._intake = intake
        self._place: Place | None = None
        self._among = among

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._among.add(self)
        self.peer = str((self.remote_address or (self.peer,))[0])
        self._place = counted(self._intake, transport, self.peer)
        if self._place is None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._among.discard(self)
        if self._place is not None:
            self._place.leave()
        if self.visit is not None:
            self.visit.end()
        super().connection_lost(exc)

    async def handshake(self, *arguments: Any, **more: Any) -> None:
        async with asyncio.timeout(OPENING) as self.deadline:
            await super().handshake(*arguments, **more)

    def settle(self) -> None:
        """Let it stay, beside those that have yet to say what they want."""
        if self._place is not None:
            self._place.settle()


def refused(connection: ServerConnection, refusal: Refusal) -> Response:
    """Return the answer that says why somebody is not let in."""
    response = connection.respond(refusal.status, f"{refusal.text}\n")
    for name, value in refusal.fields:
        response.headers[name] = value
    return response


def quiet_logger() -> logging.Logger:
    """Return a logger for what websockets says of connections that fail to open."""
    quiet = logging.getLogger("diffc_server.websockets")
    quiet.setLevel(logging.CRITICAL)
    return quiet
