"""Outgoing connections: direct, or through a proxy."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import socket
import ssl
from typing import Any

from diffc_stream.errors import LinkLost, MissingPackage, RemoteProtocolError, SessionError

from .proxies import Proxy

CONNECT_TIMEOUT = 20.0
"""Seconds that an address may take to answer at all; at 15 bytes a second it takes ten."""
MOST_LINE = 8192
"""Most bytes of a line in a proxy's answer."""
MOST_FIELDS = 100

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: .*)?")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def open_socket(host: str, port: int) -> socket.socket:
    """Connect to the first address of ``host`` that answers.

    Raises TimeoutError or another OSError, or UnicodeError if it cannot be a host's name.
    """
    loop = asyncio.get_running_loop()
    failure = OSError("the name has no address")
    for family, kind, number, _, where in await _addresses(host, port):
        connection = socket.socket(family, kind, number)
        try:
            connection.setblocking(False)
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await loop.sock_connect(connection, where)
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise failure


async def _addresses(host: str, port: int) -> list[Any]:
    try:
        # An IP address needs no thread to be resolved.
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        loop = asyncio.get_running_loop()
        return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)


async def open_stream(
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None,
    proxy: Proxy | None,
    tunnel: bool,
    opening: float,
    limit: int,
) -> Streams:
    """Connect to ``host`` within ``opening`` seconds, with TLS if ``tls`` is given.

    The connection goes through ``proxy``, if that is given.  With an HTTP proxy and without
    ``tunnel``, the result is the connection to the proxy, which has to be asked for the resource.
    Lines have at most ``limit`` bytes.  Raises the errors of :func:`open_socket`, and with a proxy
    MissingPackage, or LinkLost or RemoteProtocolError if it refuses the connection.
    """
    async with asyncio.timeout(opening):
        if proxy is None:
            found = await open_socket(host, port)
        elif proxy.scheme.startswith("socks"):
            found = await through_socks(proxy, host, port)
        else:
            reader, writer = await _streams(
                await open_socket(proxy.host, proxy.port),
                ssl.create_default_context() if proxy.scheme == "https" else None,
                proxy.host,
                opening,
                limit,
            )
            if tunnel:
                await _tunnel(reader, writer, proxy, host, port, tls, opening)
            return reader, writer
        return await _streams(found, tls, host, opening, limit)


def authorization(proxy: Proxy) -> dict[str, str]:
    """Return the authorization header for a proxy, if it needs one."""
    if proxy.username is None:
        return {}
    pair = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
    return {"Proxy-Authorization": f"Basic {pair}"}


def named(proxy: Proxy) -> str:
    """Return the name of a proxy for messages, without its password."""
    return f"the proxy {proxy.host}:{proxy.port}"


def turned_down(proxy: Proxy, status: int | None) -> SessionError:
    """Return the error for a proxy that refuses; ``status`` is None if its answer has none."""
    if status is None:
        return RemoteProtocolError(f"{named(proxy)} does not answer like one")
    if status == 407:
        return RemoteProtocolError(
            f"{named(proxy)} wants a name and a password, NAME:PASSWORD@ before its own (HTTP 407)"
        )
    if status >= 500:
        return LinkLost(f"{named(proxy)} gets no further at the moment (HTTP {status})")
    return RemoteProtocolError(f"{named(proxy)} does not let this through (HTTP {status})")


async def through_socks(proxy: Proxy, host: str, port: int) -> socket.socket:
    """Connect through a SOCKS proxy.

    Raises OSError, MissingPackage without python-socks, or LinkLost if the proxy refuses.
    """
    try:
        from python_socks import ProxyError, ProxyType
        from python_socks.async_.asyncio import Proxy as Socks
    except ImportError as error:
        raise MissingPackage(
            "a SOCKS proxy needs python-socks: pip install 'diffc-stream[socks]'"
        ) from error
    kind = ProxyType.SOCKS5 if proxy.scheme.startswith("socks5") else ProxyType.SOCKS4
    resolves = proxy.scheme in ("socks5h", "socks4a")
    socks = Socks(kind, proxy.host, proxy.port, proxy.username, proxy.password, resolves)
    try:
        connection: socket.socket = await socks.connect(host, port)
    except ProxyError as error:
        raise LinkLost(f"{named(proxy)} gets no further: {' '.join(str(error).split())}") from error
    return connection


async def _streams(
    found: socket.socket, tls: ssl.SSLContext | None, host: str, opening: float, limit: int
) -> Streams:
    try:
        return await asyncio.open_connection(
            sock=found,
            ssl=tls,
            server_hostname=host.partition("%")[0] if tls else None,
            ssl_handshake_timeout=opening if tls else None,
            limit=limit,
        )
    except BaseException:
        found.close()
        raise


async def _tunnel(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    proxy: Proxy,
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    opening: float,
) -> None:
    """Ask an HTTP proxy to connect to a host, then start TLS with the host if ``tls`` is given."""
    try:
        name = f"[{host}]" if ":" in host else host.encode("idna").decode()
        fields = {"Host": f"{name}:{port}", **authorization(proxy)}
        lines = [f"CONNECT {name}:{port} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode("ascii"))
        await writer.drain()
        status = await _status(reader, proxy)
        if not 200 <= status < 300:
            raise turned_down(proxy, status)
        if tls is not None:
            await writer.start_tls(tls, server_hostname=host, ssl_handshake_timeout=opening)
    except BaseException:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        raise


async def _status(reader: asyncio.StreamReader, proxy: Proxy) -> int:
    """Return the status of a proxy's answer."""
    try:
        match = _STATUS.fullmatch((await reader.readline()).rstrip(b"\r\n"))
        for _ in range(MOST_FIELDS):
            line = await reader.readline()
            if match is None or not line.strip():
                break
    except ValueError:
        match = None
    if match is None:
        raise turned_down(proxy, None)
    return int(match.group(1))
