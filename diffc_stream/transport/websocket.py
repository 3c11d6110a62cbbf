"""WebSockets as both daemons open and serve them: paced, and with little that waits on its way."""

from __future__ import annotations

import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from websockets.asyncio.client import connect as _connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import InvalidProxyStatus, NegotiationError, ProxyError
from websockets.http11 import Request, Response
from websockets.typing import Origin, Subprotocol
from websockets.uri import parse_uri

from diffc_stream.session import MAX_MESSAGE

from .listener import BACKLOG
from .pacing import PacedClientConnection
from .proxies import Proxy, proxy_for
from .tcp import open_socket, through_socks, turned_down

OPENING = 180.0
"""Seconds that it may take to open a connection: at 15 bytes a second it takes half a minute, and
over TLS, at 25, two and a half."""
PATH_FIELD = "Diffc-Path"
"""The field of a request that wants to know, and of the answer that tells, what was asked for here:
before a reverse proxy, what is missing of it leads to the sender."""
MOST_PATH = 2048
"""Bytes of it that are told."""
CLOSE_TIMEOUT = 10.0
"""Seconds that a polite goodbye may take, unless told otherwise."""

Handler = Callable[[ServerConnection], Awaitable[None]]
"""Talks over a WebSocket that has been opened."""
ProcessRequest = Callable[[ServerConnection, Request], Awaitable[Response | None]]
"""Answers a request; None opens the WebSocket that it asks for."""

_LINK: Mapping[str, Any] = {
    # What is sent is incompressible, and inflating can be turned against us.
    "compression": None,
    # Pings queue behind data and kill slow links; the session has its own signs of life.
    "ping_interval": None,
    "ping_timeout": None,
    "max_size": MAX_MESSAGE,
    # Little waits: or else the sender would not notice that the link is slow.
    "max_queue": 8,
    "write_limit": 4096,
}
"""What holds at either end."""


async def connect(
    uri: str,
    *,
    subprotocol: str | None = None,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    host: str | None = None,
    open_timeout: float = OPENING,
    close_timeout: float = CLOSE_TIMEOUT,
) -> PacedClientConnection:
    """Open a WebSocket to ``uri`` and to nowhere else it may be sent; timeouts are in seconds.

    It goes through the proxy that the environment names for it, if any.  ``open_timeout`` is for
    what follows once the other machine has answered at all.  ``headers`` go with the request.
    ``tls`` says whom to believe where ``uri`` is ``wss://``, by default the authorities of the
    system.  ``host`` is where to connect instead of the host of ``uri``: an address with a zone,
    which no request may name.  Raises InvalidHandshake, among others if the peer does not speak
    ``subprotocol``, InvalidURI, TimeoutError, OSError; of a proxy AddressError if it is none,
    MissingPackage if it is of SOCKS and python-socks is not here, and LinkLost or
    RemoteProtocolError if it does not let this through.
    """
    found = parse_uri(uri)
    proxy = proxy_for("wss" if found.secure else "ws", host or found.host, found.port, os.environ)
    try:
        connection = await _Connect(
            uri,
            create_connection=PacedClientConnection,
            subprotocols=None if subprotocol is None else [Subprotocol(subprotocol)],
            additional_headers=headers,
            ssl=(tls or True) if found.secure else None,
            ssl_handshake_timeout=open_timeout if found.secure else None,
            open_timeout=open_timeout,
            close_timeout=close_timeout,
            **await _way(host or found.host, found.port, proxy),
            **_LINK,
        )
    except ProxyError as error:
        assert proxy is not None
        status = error.response.status_code if isinstance(error, InvalidProxyStatus) else None
        raise turned_down(proxy, status) from error
    assert isinstance(connection, PacedClientConnection)
    if connection.subprotocol != subprotocol:
        await connection.close()
        raise NegotiationError(f"it does not speak {subprotocol}")
    return connection


async def _way(host: str, port: int, proxy: Proxy | None) -> dict[str, Any]:
    """Return what websockets is told of where to connect to."""
    if proxy is None:
        return {"sock": await open_socket(host, port)}
    if proxy.scheme.startswith("socks"):
        return {"sock": await through_socks(proxy, host, port)}
    user = ""
    if proxy.username is not None:
        user = f"{quote(proxy.username, safe='')}:{quote(proxy.password or '', safe='')}@"
    name = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    return {"proxy": f"{proxy.scheme}://{user}{name}:{proxy.port}"}


async def listen(
    listening: socket.socket,
    handler: Handler,
    *,
    process_request: ProcessRequest,
    make: Callable[..., ServerConnection],
    logger: str,
    subprotocol: str | None = None,
    origins: Sequence[Origin | None] | None = None,
    open_timeout: float | None = None,
    close_timeout: float = CLOSE_TIMEOUT,
    tls: ssl.SSLContext | None = None,
    tls_open_timeout: float | None = None,
    tls_close_timeout: float | None = None,
) -> Server:
    """Serve whoever connects to a socket; timeouts are in seconds.

    ``make`` makes their connections.  Browsers' pages are let in from ``origins``, by default from
    everywhere.  What websockets says of those that fail to open, which are other people's mistakes,
    goes to a ``logger`` of that name, critical errors alone.
    """
    return await serve(
        handler,
        sock=listening,
        subprotocols=None if subprotocol is None else [Subprotocol(subprotocol)],
        process_request=process_request,
        process_response=_tell_path,
        create_connection=make,  # type: ignore[arg-type]
        origins=origins,
        open_timeout=open_timeout,
        close_timeout=close_timeout,
        backlog=BACKLOG,
        ssl=tls,
        ssl_handshake_timeout=tls_open_timeout if tls else None,
        ssl_shutdown_timeout=tls_close_timeout if tls else None,
        # Nobody needs to know what this runs on.
        server_header=None,
        logger=_quiet(logger),
        **_LINK,
    )


class _Connect(_connect):
    """Goes where it is told and nowhere else: a token is for one host."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


def _tell_path(_: ServerConnection, request: Request, response: Response) -> None:
    path = request.path.partition("?")[0]
    opened = response.status_code == HTTPStatus.SWITCHING_PROTOCOLS
    if opened and PATH_FIELD in request.headers and len(path) <= MOST_PATH:
        response.headers[PATH_FIELD] = path


def _quiet(name: str) -> logging.Logger:
    quiet = logging.getLogger(name)
    quiet.setLevel(logging.CRITICAL)
    return quiet
