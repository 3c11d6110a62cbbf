"""Open and serve WebSockets with the settings that both daemons use: paced, with short queues."""

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
"""Seconds that opening a connection may take: at 15 bytes a second it takes half a minute, and over
TLS, at 25 bytes a second, two and a half minutes."""
PATH_FIELD = "Diffc-Path"
"""Header by which a receiver asks for, and a sender tells, the path that arrived at the sender.  If
a reverse proxy has removed a prefix, the receiver learns it by comparing."""
MOST_PATH = 2048
"""Most bytes of a path that is told."""
CLOSE_TIMEOUT = 10.0
"""Default for the seconds that a closing handshake may take."""

Handler = Callable[[ServerConnection], Awaitable[None]]
"""A function that talks over an open WebSocket."""
ProcessRequest = Callable[[ServerConnection, Request], Awaitable[Response | None]]
"""A function that answers a request; None opens the WebSocket that it asks for."""

_LINK: Mapping[str, Any] = {
    # Streams cannot be compressed further, and decompression is open to attacks.
    "compression": None,
    # Pings queue behind data and kill slow links; the session has its own signs of life.
    "ping_interval": None,
    "ping_timeout": None,
    "max_size": MAX_MESSAGE,
    # Short queues, or else the sender would not notice that the link is slow.
    "max_queue": 8,
    "write_limit": 4096,
}
"""Settings for both ends."""


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
    """Open a WebSocket to ``uri``, without following redirects.  Timeouts are in seconds.

    It goes through the proxy that the environment names for it, if any.  ``open_timeout`` counts
    from the moment at which the other machine has answered at all.  ``headers`` are sent with the
    request.  For ``wss://``, ``tls`` verifies the peer, by default with the authorities of the
    system.  ``host`` is the address to connect to if it differs from the host of ``uri``: an
    address with a zone, which must not appear in requests.

    Raises InvalidHandshake (also if the peer does not speak ``subprotocol``), InvalidURI,
    TimeoutError and OSError.  With a proxy it raises AddressError if its address is unusable,
    MissingPackage if it is a SOCKS proxy and python-socks is not installed, and LinkLost or
    RemoteProtocolError if it refuses the connection.
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
    """Return the arguments that tell websockets where to connect to."""
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
    """Serve the connections to a listening socket; timeouts are in seconds.

    ``make`` makes the connection objects.  Web pages may connect from ``origins``, by default from
    everywhere.  websockets' own logger, named ``logger``, is limited to critical errors:
    connections that fail to open are the mistakes of others.
    """
    return await serve(
        handler,
        sock=listening,
        subprotocols=None if subprotocol is None else [Subprotocol(subprotocol)],
        process_request=process_request,
        process_response=_complete,
        create_connection=make,  # type: ignore[arg-type]
        origins=origins,
        open_timeout=open_timeout,
        close_timeout=close_timeout,
        backlog=BACKLOG,
        ssl=tls,
        ssl_handshake_timeout=tls_open_timeout if tls else None,
        ssl_shutdown_timeout=tls_close_timeout if tls else None,
        # Do not reveal which software and version this is.
        server_header=None,
        logger=_quiet(logger),
        **_LINK,
    )


class _Connect(_connect):
    """Does not follow redirects, because a token is for one host only."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


def _complete(_: ServerConnection, request: Request, response: Response) -> None:
    """Tell the path to whom it was asked, and leave out the body of an answer to HEAD."""
    if request.method == "HEAD":
        response.body = b""
    path = request.path.partition("?")[0]
    opened = response.status_code == HTTPStatus.SWITCHING_PROTOCOLS
    if opened and PATH_FIELD in request.headers and len(path) <= MOST_PATH:
        response.headers[PATH_FIELD] = path


def _quiet(name: str) -> logging.Logger:
    quiet = logging.getLogger(name)
    quiet.setLevel(logging.CRITICAL)
    return quiet
