"""A connection to an HTTP/1.1 server, to fetch ranges of bytes.

h11 implements the protocol; this module moves its bytes.  Reading can be cancelled at any time, and
an answer is read no more than one block ahead of its use (docs/decisions/0032).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import h11

from diffc_stream.errors import AddressError, LinkLost, RemoteProtocolError, SessionError
from diffc_stream.transport.proxies import Proxy, proxy_for
from diffc_stream.transport.tcp import authorization, open_stream, turned_down
from diffc_stream.transport.websocket import OPENING

from .address import Address
from .credentials import NO_ACCESS, Access, connection_error, no_answer_error

CLOSE_TIMEOUT = 2.0
TURN = 32
"""Reads after which other tasks get a turn, since a body may arrive a byte at a time."""
BLOCK = 4096
"""Bytes of a body that are read at once."""
MOST_HEAD = 16_384
"""Largest head of an answer, in bytes."""
MOST_FIELDS = 100
MOST_SAID = 80
"""Characters of an error message that may quote the answer."""
MOST_INTERIM = 8
"""Informational (1xx) answers that may precede the final one."""


_BEGINNING = b"HTTP/1."
_DONE = {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}


class ConnectionDropped(LinkLost):
    """The server closed the connection before it answered a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    """The head of an answer."""

    status: int
    fields: Mapping[str, str]
    """Headers by name in lower case; repeated ones are joined with commas."""


class HttpConnection:
    """A connection; make one with :meth:`dial`.

    One request at a time: ``ask()``, then ``read()`` until there is no more, then again, as long
    as it is ``reusable``.
    """

    def __init__(
        self,
        address: Address,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        idle: float,
        fields: Mapping[str, str] | None = None,
        proxy: Proxy | None = None,
    ) -> None:
        """Send ``fields`` with every request; a ``proxy`` is given if the peer is one."""
        self._address = address
        self._credentials = {**(fields or {}), **(authorization(proxy) if proxy else {})}
        self._proxy = proxy
        self._began = asyncio.get_running_loop().time()
        self._answered = False
        self._reader = reader
        self._writer = writer
        self._idle = idle
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEAD)
        self._ahead: h11.Event | SessionError | None = None
        """The next part of an answer, or its error, if that has been read already."""
        self._closed = False
        self._heard = False
        """Whether a byte has arrived since the last request."""
        self._ended = False
        """Whether the server has closed its side."""
        self._reads = 0

    @classmethod
    async def dial(
        cls, address: Address, *, idle: float, access: Access = NO_ACCESS
    ) -> HttpConnection:
        """Connect to a server, which may be silent for ``idle`` seconds.

        It connects through the proxy that the environment names for the server, if any.  Raises
        LinkLost if the server cannot be reached, RemoteProtocolError if its certificate is not
        valid or the proxy refuses, Unauthorized if the token would travel unencrypted,
        AddressError, SafetyError or MissingPackage.
        """
        sender = address.sender
        fields, secure = access.fields(address), access.context(address)
        proxy = proxy_for(address.scheme, address.host, address.port, os.environ)
        try:
            reader, writer = await open_stream(
                address.host,
                address.port,
                tls=secure,
                proxy=proxy,
                # Requests without TLS are made to the proxy itself.
                tunnel=address.secure,
                opening=OPENING,
                limit=MOST_HEAD,
            )
        except UnicodeError as error:
            raise AddressError(f"{str(sender)!r} is not an address: {error}") from error
        except OSError as error:
            raise await connection_error(sender, error) from error
        asked = proxy if proxy is not None and proxy.scheme.startswith("http") else None
        return cls(address, reader, writer, idle, fields, None if address.secure else asked)

    @property
    def reusable(self) -> bool:
        """Whether the last answer has been read, and the server takes another request."""
        return not self._closed and self._http.states == _DONE

    async def ask(self, path: str, fields: Mapping[str, str]) -> ResponseHead:
        """Send a GET request for ``path``, percent-encoded, and return the answer's head.

        Raises ConnectionDropped, LinkLost, or RemoteProtocolError if the answer is not HTTP/1.1.
        """
        try:
            answer = await self._ask(path, fields)
        except ConnectionDropped as error:
            raise await self._dropped(error) from error
        self._answered = True
        if self._proxy is not None and answer.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            raise turned_down(self._proxy, answer.status)
        return answer

    async def _ask(self, path: str, fields: Mapping[str, str]) -> ResponseHead:
        if self._http.states == _DONE:
            self._http.start_next_cycle()
            self._ahead = None
        self._heard = False
        authority = self._address.authority
        target = path if self._proxy is None else f"http://{authority}{path}"
        headers = {"Host": authority, **self._credentials, **fields}
        request = h11.Request(method="GET", target=target, headers=list(headers.items()))
        sent = (self._http.send(event) for event in (request, h11.EndOfMessage()))
        try:
            async with asyncio.timeout(self._idle):
                self._writer.write(b"".join(data for data in sent if data))
                await self._writer.drain()
                return await self._answer()
        except TimeoutError:
            raise LinkLost(f"{self._address.sender} does not answer") from None
        except OSError as error:
            raise ConnectionDropped(self._lost()) from error

    async def _dropped(self, error: ConnectionDropped) -> SessionError:
        """Return the error for a connection that was closed before an answer."""
        if self._answered or self._proxy is not None:
            return error
        seconds = asyncio.get_running_loop().time() - self._began
        found = await no_answer_error(self._address.sender, seconds, closed=True)
        return error if isinstance(found, LinkLost) else found

    async def read(self) -> bytes:
        """Return the next bytes of the body, b"" at its end.  Raises LinkLost if it is cut off."""
        self._reads += 1
        if self._reads % TURN == 0:
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(self._idle):
                event = await self._event()
        except TimeoutError:
            raise LinkLost(f"{self._address.sender} fell silent") from None
        except OSError as error:
            raise LinkLost(self._lost()) from error
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    def close(self) -> None:
        """Drop the connection."""
        self._closed = True
        self._writer.transport.abort()

    async def closed(self) -> None:
        """Wait until a dropped connection has been closed."""
        with contextlib.suppress(OSError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._writer.wait_closed()

    async def _answer(self) -> ResponseHead:
        for _ in range(MOST_INTERIM):
            event = await self._event()
            if isinstance(event, h11.Response):
                return self._said(event)
            if not isinstance(event, h11.InformationalResponse):
                break
        raise self._nonsense("it sends too many interim answers")

    def _said(self, response: h11.Response) -> ResponseHead:
        if len(response.headers) > MOST_FIELDS:
            raise self._nonsense("its answer has too many fields")
        fields: dict[str, str] = {}
        for raw_name, raw_value in response.headers:
            name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
        return ResponseHead(status=response.status_code, fields=fields)

    async def _event(self) -> h11.Event:
        """Return the next part of an answer, and parse the one after it if it has arrived.

        So the end of an answer is known with its last bytes, and the connection is free at once.
        After the end, it returns the end again.  Raises LinkLost, ConnectionDropped or
        RemoteProtocolError.
        """
        event = self._ahead or self._parsed()
        while event is None:
            self._http.receive_data(await self._block())
            event = self._parsed()
        if isinstance(event, SessionError):
            raise event
        if isinstance(event, h11.EndOfMessage):
            self._ahead = event
            return event
        try:
            self._ahead = self._parsed()
        except SessionError as error:
            self._ahead = error  # raised by the next call, after this part
        return event

    def _parsed(self) -> h11.Event | None:
        """Return the next part of an answer from what has been read; None if it is incomplete."""
        try:
            event = self._http.next_event()
        except h11.RemoteProtocolError as error:
            if self._ended:
                raise self._cut_off() from error
            raise self._nonsense(str(error)[:MOST_SAID]) from error
        if isinstance(event, h11.ConnectionClosed):
            raise self._cut_off()
        return event if isinstance(event, h11.Event) else None

    async def _block(self) -> bytes:
        data = await self._reader.read(BLOCK)
        # A server of another protocol may send a greeting and then wait for ever.
        if not self._heard and not _BEGINNING.startswith(data[: len(_BEGINNING)]):
            raise self._nonsense("its answer is in another protocol")
        self._ended = not data
        self._heard = self._heard or not self._ended
        return data

    def _cut_off(self) -> LinkLost:
        """Return the error for a connection that ended before the answer did."""
        return LinkLost(self._lost()) if self._heard else ConnectionDropped(self._lost())

    def _lost(self) -> str:
        return f"the connection to {self._address.sender} was lost"

    def _nonsense(self, what: str) -> RemoteProtocolError:
        return RemoteProtocolError(f"{self._address.sender} does not speak HTTP/1.1: {what}")
