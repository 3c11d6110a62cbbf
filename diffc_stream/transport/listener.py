"""The sockets that a port listens on.  They count connections at the moment of ``accept()``.

TLS and requests begin later, so that is the only place to count every connection.  An event loop
calls ``accept()`` of the socket that it was given; on Windows it does not, and connections are
counted when they have been made.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.server import Server, ServerConnection

from .admission import Admission, Place, Shortage
from .pacing import PacedServerConnection

BACKLOG = 1024
"""Connections that the system queues until they are accepted: a thousand may come at once, and
those that come after a flood should not have to wait for all of it."""

Serve = Callable[[socket.socket], Awaitable[Server]]
"""A function that serves the connections to a listening socket."""


class PortListener:
    """All sockets of one port, open or not."""

    def __init__(self, admission: Admission) -> None:
        """Count connections with ``admission``."""
        self.admission = admission
        self._doorways: list[_Doorway] = []
        self._servers: list[Server] = []

    async def open(self, host: str, port: int, serve: Serve, *, reuse_port: bool = False) -> None:
        """Listen on ``port`` of all addresses of ``host``; 0 is any free port.

        Raises OSError if it is taken, or cannot be shared with other processes, or if ``host`` is
        not the name of any.
        """
        for listening in await _bound(host, port, reuse_port=reuse_port):
            doorway = _Doorway(listening, self.admission)
            self._doorways.append(doorway)
            self._servers.append(await serve(doorway))

    @property
    def sockets(self) -> list[socket.socket]:
        """The sockets that listen."""
        return [listening for server in self._servers for listening in server.sockets]

    @property
    def port(self) -> int:
        """The port of the first address."""
        port: int = self.sockets[0].getsockname()[1]
        return port

    @property
    def connections(self) -> set[ServerConnection]:
        """The WebSockets that are open."""
        return set[ServerConnection]().union(*(server.connections for server in self._servers))

    def is_serving(self) -> bool:
        """Return whether new connections are accepted."""
        return any(server.is_serving() for server in self._servers)

    def close(self, *, close_connections: bool = True) -> None:
        """Stop listening and, unless told otherwise, close the open WebSockets."""
        for doorway in self._doorways:
            doorway.shut = True
        for server in self._servers:
            server.close(close_connections)

    async def wait_closed(self) -> None:
        """Wait until all connections have ended, including those in a TLS handshake."""
        await asyncio.gather(*(server.wait_closed() for server in self._servers))
        emptied = asyncio.Event()
        self.admission.when_empty(emptied.set)
        await emptied.wait()


class CountedConnection(PacedServerConnection):
    """A connection that is counted: as a newcomer at first, and as a guest after settle()."""

    def __init__(self, *arguments: Any, admission: Admission, **more: Any) -> None:
        """Prepare a connection that ``admission`` counts for as long as it is open."""
        super().__init__(*arguments, **more)
        _free_when_refused(asyncio.current_task())
        self.peer = "somebody"
        """Address of the peer."""
        self._admission = admission
        self._place: Place | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.peer = str((self.remote_address or (self.peer,))[0])
        accepted: socket.socket | None = transport.get_extra_info("socket")
        descriptor = -1 if accepted is None else accepted.fileno()
        self._place = self._admission.place(descriptor) or self._admission.enter(
            self.peer, descriptor, self.transport.abort
        )
        if self._place is None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._place is not None:
            self._place.leave()
        super().connection_lost(exc)

    def settle(self) -> None:
        """Count it as a guest: it has asked for something that it may have."""
        if self._place is not None:
            self._place.settle()


def is_local(connection: ServerConnection) -> bool:
    """Return whether a connection came over the loopback."""
    address = connection.local_address
    return bool(address) and ipaddress.ip_address(address[0].partition("%")[0]).is_loopback


async def _bound(host: str, port: int, *, reuse_port: bool) -> list[socket.socket]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            # "::" means both families, as in other programs.  They get a socket each, so that IPv4
            # addresses look like IPv4 addresses.
            host if host not in ("", "::") else None,
            port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )
    except UnicodeError as error:  # an empty or very long part of a name
        raise OSError(errno.EINVAL, f"cannot listen on {host!r}: it is no host's name") from error
    listening: list[socket.socket] = []
    missing: OSError | None = None
    with contextlib.ExitStack() as undo:
        for family, address in dict.fromkeys((family, where) for family, *_, where in found):
            # If the system chooses the port, all families use the same one.
            at = port or (listening[0].getsockname()[1] if listening else 0)
            try:
                one = socket.create_server(
                    (address[0], at), family=family, backlog=BACKLOG, reuse_port=reuse_port
                )
            except OSError as error:
                why = (error.strerror or str(error)).partition(" (while")[0].lower()
                missing = OSError(error.errno, f"cannot listen on {address[0]} {port}: {why}")
                if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    continue
                raise missing from error
            undo.callback(one.close)
            listening.append(one)
        if missing is not None and not listening:
            raise missing
        undo.pop_all()
    return listening


class _Doorway(socket.socket):
    """A listening socket that counts the connections that it accepts."""

    def __init__(self, listening: socket.socket, admission: Admission) -> None:
        # An event loop disables Nagle's algorithm, which delays small frames, only if the protocol
        # is given as TCP.
        tcp = socket.IPPROTO_TCP
        super().__init__(listening.family, listening.type, tcp, fileno=listening.detach())
        self.shut = False
        """Whether to accept no more.  A closing server would forget connections that the event loop
        still accepts, and leave them open."""
        self._admission = admission

    def accept(self) -> tuple[socket.socket, Any]:
        while True:
            if self.shut:
                raise BlockingIOError(errno.EAGAIN, "nobody is let in any more")
            connection, address = self._admission.accept(super().accept)
            guest = _Guest(connection, self._admission, str(address[0]))
            if guest.place is not None:
                return guest, address
            guest.close()


class _Guest(socket.socket):
    """A connection that is counted until its descriptor is closed."""

    def __init__(self, connection: socket.socket, admission: Admission, peer: str) -> None:
        family, kind, proto = connection.family, connection.type, connection.proto
        super().__init__(family, kind, proto, fileno=connection.detach())
        self._admission = admission
        self.place = admission.enter(peer, self.fileno(), self._hang_up)

    def close(self) -> None:
        if self.place is not None:
            self.place.leave()
        super().close()
        self._admission.refill()

    def __del__(self) -> None:
        # The socket may be dropped before a connection object was made for it.
        self.close()

    def _hang_up(self) -> None:
        # Readers take this for the end of the stream, and close the socket.
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)


def _free_when_refused(accepting: asyncio.Task[Any] | None) -> None:
    """Have asyncio free a connection at once if its TLS handshake fails.

    The task that accepts it waits for a future.  An error's traceback leads to the task's frame,
    which holds the future, which holds the error, and so all that the connection has of TLS.  Only
    a full garbage collection finds that, because handshakes take long: hundreds would wait for it.
    """
    frame = getattr(accepting.get_coro(), "cr_frame", None) if accepting else None
    if accepting is None or frame is None:
        return  # Another kind of event loop.

    def forget_traceback(_: object) -> None:
        for value in frame.f_locals.values():
            if isinstance(value, asyncio.Future) and value.done() and not value.cancelled():
                error = value.exception()
                if error is not None:
                    error.__traceback__ = None

    accepting.add_done_callback(forget_traceback)


def _unless_told(record: logging.LogRecord) -> bool:
    """Suppress asyncio's log of a shortage, which has been logged once, in one line."""
    return not (record.exc_info and isinstance(record.exc_info[1], Shortage))


logging.getLogger("asyncio").addFilter(_unless_told)
