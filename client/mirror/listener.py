"""A receiver that listens: senders behind a NAT or firewall connect to it, and it mirrors them."""

from __future__ import annotations

import asyncio
import http
import logging
import math
import re
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from ssl import SSLContext
from typing import Self
from urllib.parse import unquote

from websockets.asyncio.server import Server, ServerConnection
from websockets.http11 import Request, Response

from diffc_stream.errors import SessionError
from diffc_stream.opening import is_passing
from diffc_stream.session import PUSH_SUBPROTOCOL, Terms
from diffc_stream.transport.admission import Admission, descriptors_for
from diffc_stream.transport.fd_limit import Spare, allow
from diffc_stream.transport.guesses import Guesses
from diffc_stream.transport.listener import CountedConnection, PortListener
from diffc_stream.transport.websocket import OPENING, listen

from ..remote.handshake import CLOSE_TIMEOUT
from ..remote.websocket import Link
from .sync import Mirror
from .transfers import AT_ONCE

MOST_SENDERS = 64
"""Senders connected at once; each may send as many streams as a mirror receives at once."""
MOST_NAMES = 256
"""Folders of senders, past ones included: otherwise a sender could fill the disk by using many
names."""
LONGEST_NAME = 64
REREAD = 5.0
"""Seconds between two checks that the connected senders are still admitted."""

_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]*(\.[0-9A-Za-z_-]+)*")

logger = logging.getLogger("diffc_client")

Authenticate = Callable[[Request], str | http.HTTPStatus]
"""Returns the name of the sender that makes a request, or the status that refuses it."""
MakeMirror = Callable[[str, Path], Mirror]
"""Makes the mirror of a sender, given its name and folder."""


def senders_allowed() -> int:
    """Return for how many senders the system allows descriptors; log a warning if too few.

    Raises the process's limit as far as the system permits.
    """
    allowed = allow(MOST_SENDERS, lambda most: descriptors_for(2 * most) + most * AT_ONCE)
    if allowed < MOST_SENDERS:
        logger.warning(
            "no more than %d senders: the system allows too few open files (ulimit -n)", allowed
        )
    return allowed


def named_by_path(request: Request) -> str | http.HTTPStatus:
    """Return the name that a sender gives itself in the path, ``/NAME``, without any proof."""
    name = unquote(request.path.partition("?")[0]).removeprefix("/")
    return name if is_name(name) else http.HTTPStatus.NOT_FOUND


def is_name(name: str) -> bool:
    """Tell whether a sender may have this name: it has to be a valid folder on every system."""
    return len(name) <= LONGEST_NAME and _NAME.fullmatch(name) is not None


class Listener:
    """Mirrors every sender that connects, each in a folder of its name.

    >>> async with Listener(Path("pictures"), port=8766) as listener:
    ...     print(listener.port)

    A new connection of a sender replaces its old one: after a break a sender may connect again
    before this end has noticed.  Leaving the block closes all links.
    """

    def __init__(
        self,
        folder: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        make: MakeMirror = lambda _, folder: Mirror(folder),
        authenticate: Authenticate = named_by_path,
        models: Iterable[str] = (),
        terms: Terms | None = None,
        tls: SSLContext | None = None,
        most: int = MOST_SENDERS,
    ) -> None:
        """Prepare to listen on ``port`` of ``host``; 0 is any free port.

        ``make`` creates the mirror of a sender, and ``authenticate`` returns its name.  Up to
        ``most`` senders are mirrored at once.  ``models`` and ``terms`` are for the sessions, and
        ``tls`` is the context for wss://.
        """
        self._folder = folder
        self._host = host
        self._port = port
        self._make = make
        self._authenticate = authenticate
        self._models = tuple(models)
        self._terms = terms or Terms()
        self._tls = tls
        self._most = most
        self._links: dict[str, Link] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._mirrors: dict[str, Mirror] = {}
        self._spare = Spare()
        # A sender that connects again has two connections for a moment.
        self.admission = Admission(2 * most, logger=logger, spare=self._spare)
        """Counts all connections."""
        self._listener = PortListener(self.admission)
        self._guesses = Guesses(asyncio.get_running_loop().time)
        self._watch: asyncio.Task[None] | None = None
        self._checker = ThreadPoolExecutor(1, thread_name_prefix="welcome")
        """Its own thread, because the mirrors' disks may not answer."""

    async def __aenter__(self) -> Self:
        """Listen.  Raises OSError if the port is taken."""
        await self._listener.open(self._host, self._port, self._serve)
        self._spare.open()
        self._watch = asyncio.create_task(self._keep_watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._watch is not None
        self._watch.cancel()
        self._checker.shutdown(wait=False, cancel_futures=True)
        self._listener.close(close_connections=False)
        await asyncio.gather(*(link.close() for link in self._links.values()))
        self._listener.close()
        self.admission.drop_newcomers()
        await self._listener.wait_closed()
        self._spare.close()

    async def _serve(self, listening: socket.socket) -> Server:
        return await listen(
            listening,
            self._mirror,
            process_request=self._admit,
            make=partial(_Connection, admission=self.admission),
            logger="diffc_client.websockets",
            subprotocol=PUSH_SUBPROTOCOL,
            origins=[None],  # no web pages
            open_timeout=OPENING,  # for TLS and the WebSocket together
            close_timeout=CLOSE_TIMEOUT,
            tls=self._tls,
        )

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._listener.port

    @property
    def senders(self) -> tuple[str, ...]:
        """Names of the connected senders, in no particular order."""
        return tuple(self._links)

    @property
    def mirrors(self) -> tuple[Mirror, ...]:
        """Mirrors of the connected senders."""
        return tuple(self._mirrors.values())

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        assert isinstance(connection, _Connection)
        unavailable = http.HTTPStatus.SERVICE_UNAVAILABLE
        if self.admission.full or self.admission.pressed:
            return connection.respond(unavailable, "not at the moment: come back later\n")
        # On a thread, because it reads the token file and lists the folder.
        try:
            name, others = await asyncio.to_thread(self._look, request)
        except (OSError, RuntimeError, MemoryError) as error:
            if not is_passing(error):
                raise
            logger.warning("%s is told to come back later: %s", connection.peer, error)
            return connection.respond(unavailable, "not at the moment: come back later\n")
        if isinstance(name, http.HTTPStatus):
            return self._refuse(connection, request, name)
        if len(self._links) >= self._most and name not in self._links:
            return connection.respond(unavailable, "too many senders\n")
        if others >= MOST_NAMES:
            return connection.respond(unavailable, "too many names\n")
        connection.sender = name
        connection.settle()
        return None

    def _refuse(
        self, connection: CountedConnection, request: Request, status: http.HTTPStatus
    ) -> Response:
        """Refuse a sender; one that guesses tokens has to wait."""
        if status is http.HTTPStatus.UNAUTHORIZED and request.headers.get_all("Authorization"):
            wait = self._guesses.count(connection.peer)
            if wait:
                status = http.HTTPStatus.TOO_MANY_REQUESTS
                response = connection.respond(status, "too many tries: come back later\n")
                response.headers["Retry-After"] = str(math.ceil(wait))
                return response
            text = "%s has shown a token that is unknown or has expired"
            logger.warning(text, connection.peer)
        return connection.respond(status, f"{status.phrase}\n")

    def _look(self, request: Request) -> tuple[str | http.HTTPStatus, int]:
        """Return the sender's name or the refusal, and the number of other folders.  Blocks."""
        name = self._authenticate(request)
        if isinstance(name, str) and not is_name(name):
            name = http.HTTPStatus.NOT_FOUND
        return name, _folders(self._folder, beside=name) if isinstance(name, str) else 0

    async def _keep_watch(self) -> None:
        """Disconnect senders that would not be admitted any more."""
        while True:
            await asyncio.sleep(REREAD)
            for connection in self._listener.connections:
                assert isinstance(connection, _Connection)
                if connection.request is None or not connection.sender:
                    continue
                if not await self._welcome(connection, connection.request):
                    logger.info("%s is no longer admitted", connection.sender)
                    connection.transport.abort()

    async def _welcome(self, connection: _Connection, request: Request) -> bool:
        """Tell whether a sender would be admitted again; True if that cannot be checked now."""
        try:
            loop = asyncio.get_running_loop()
            name = await loop.run_in_executor(self._checker, self._authenticate, request)
            return name == connection.sender
        except Exception as error:
            if not is_passing(error):
                # A bug, after which checking has to go on: tokens must not live for ever.
                logger.exception("checking whether %s is admitted failed", connection.sender)
            return True

    async def _mirror(self, connection: ServerConnection) -> None:
        assert isinstance(connection, _Connection)
        name = connection.sender
        address = connection.remote_address or ("unknown", 0)
        logger.info("%s connected from %s", name, address[0])
        link = Link.over(connection, models=self._models, terms=self._terms)
        before = self._links.pop(name, None)
        self._links[name] = link
        try:
            if before is not None:
                logger.info("%s: a newer connection takes its place", name)
                await before.close()
            async with (
                # The mirror of the old connection has to close its files first.
                self._turns.setdefault(name, asyncio.Lock()),
                self._make(name, self._folder / name) as mirror,
            ):
                self._mirrors[name] = mirror
                try:
                    await mirror.follow(link)
                finally:
                    del self._mirrors[name]
        except SessionError as error:
            logger.info("%s left: %s", name, error)
        except OSError as error:
            logger.warning("%s cannot be mirrored: %s", name, error)
        except Exception:
            # A bug, which must not disturb other senders.
            logger.exception("mirroring %s failed", name)
        finally:
            if self._links.get(name) is link:
                del self._links[name]
                del self._turns[name]
            await link.close()


def _folders(home: Path, *, beside: str) -> int:
    """Return how many entries a folder has, not counting ``beside``."""
    return sum(path.name != beside for path in home.iterdir()) if home.exists() else 0


class _Connection(CountedConnection):
    """A connection that knows its sender's name."""

    sender = ""
