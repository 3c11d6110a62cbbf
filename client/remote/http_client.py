"""A connection to an HTTP/1.1 server: as much of the protocol as fetching ranges of bytes takes.

The standard library's client blocks a thread that nothing can interrupt; here a reader that is
cancelled is gone at once.  Answers are read as they come, no more than a block ahead.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from diffc_stream.errors import AddressError, LinkLost, RemoteProtocolError, SessionError
from diffc_stream.transport.proxies import Proxy, proxy_for
from diffc_stream.transport.tcp import authorization, open_stream, turned_down
from diffc_stream.transport.websocket import OPENING

from .address import Address
from .credentials import NO_ACCESS, Access, unanswered, unsecured

CLOSE_TIMEOUT = 2.0
TURN = 32
"""Reads after which others have their turn: a body may come in chunks of a byte."""
BLOCK = 4096
"""Bytes of a body that are read at most at once."""
MOST_LINE = 8192
"""Bytes of a status line or a field."""
MOST_FIELDS = 100
MOST_INTERIM = 8
"""Answers that only say that another will come."""

_STATUS = re.compile(r"HTTP/1\.([01]) ([1-5][0-9]{2})(?: .*)?")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):(.*)")
_SIZE = re.compile(r"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")


class Dropped(LinkLost):
    """The server closed the connection before it said anything about a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What comes before the body."""

    status: int
    fields: Mapping[str, str]
    """By name in lower case; those that were repeated are joined with commas."""


class Wire:
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
        """Send ``fields`` with every request; ask a ``proxy``, if that is at the other end."""
        self._address = address
        self._credentials = {**(fields or {}), **(authorization(proxy) if proxy else {})}
        self._proxy = proxy
        self._began = asyncio.get_running_loop().time()
        self._answered = False
        self._reader = reader
        self._writer = writer
        self._idle = idle
        self._kept = True
        self._chunked = False
        self._reads = 0
        self._left: int | None = 0
        """Bytes that are to come of the body or the chunk; None: until the connection ends."""

    @classmethod
    async def dial(cls, address: Address, *, idle: float, access: Access = NO_ACCESS) -> Wire:
        """Connect to a server, which may be silent for ``idle`` seconds.

        It is reached through the proxy that the environment names for it, if any.  Raises LinkLost
        if there is nobody, RemoteProtocolError if its certificate is not good or the proxy does not
        let this through, Unauthorized if it cannot be trusted with the token, AddressError,
        SafetyError or MissingPackage.
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
                # What is not encrypted is asked of the proxy itself.
                tunnel=address.secure,
                opening=OPENING,
                limit=MOST_LINE,
            )
        except UnicodeError as error:
            raise AddressError(f"{str(sender)!r} is not an address: {error}") from error
        except OSError as error:
            raise await unsecured(sender, error) from error
        asked = proxy if proxy is not None and proxy.scheme.startswith("http") else None
        return cls(address, reader, writer, idle, fields, None if address.secure else asked)

    @property
    def reusable(self) -> bool:
        """The last answer has been read, and the server will take another request."""
        return self._kept and self._left == 0 and not self._chunked

    async def ask(self, path: str, fields: Mapping[str, str]) -> Answer:
        """GET what is at ``path``, percent-encoded, and return what is said of it.

        Raises Dropped, LinkLost, or RemoteProtocolError if the answer is not HTTP/1.1.
        """
        try:
            answer = await self._ask(path, fields)
        except Dropped as error:
            raise await self._dropped(error) from error
        self._answered = True
        if self._proxy is not None and answer.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            raise turned_down(self._proxy, answer.status)
        self._frame(answer)
        return answer

    async def _ask(self, path: str, fields: Mapping[str, str]) -> Answer:
        self._kept = False
        authority = self._address.authority
        target = path if self._proxy is None else f"http://{authority}{path}"
        lines = [f"GET {target} HTTP/1.1", f"Host: {authority}"]
        lines += [f"{name}: {value}" for name, value in {**self._credentials, **fields}.items()]
        try:
            async with asyncio.timeout(self._idle):
                self._writer.write("\r\n".join([*lines, "", ""]).encode("ascii"))
                await self._writer.drain()
                return await self._answer()
        except TimeoutError:
            raise LinkLost(f"{self._address.sender} does not answer") from None
        except OSError as error:
            raise Dropped(self._lost()) from error

    async def _dropped(self, error: Dropped) -> SessionError:
        """Return what it means that the connection was closed before an answer."""
        if self._answered or self._proxy is not None:
            return error
        seconds = asyncio.get_running_loop().time() - self._began
        found = await unanswered(self._address.sender, seconds, closed=True)
        return error if isinstance(found, LinkLost) else found

    async def read(self) -> bytes:
        """Return the next bytes of the body, b"" at its end.  Raises LinkLost if it is cut off."""
        self._reads += 1
        if self._reads % TURN == 0:
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(self._idle):
                if self._chunked and self._left == 0:
                    await self._next_chunk()
                if self._left == 0:
                    return b""
                data = await self._reader.read(min(BLOCK, self._left or BLOCK))
                if self._left is None:
                    self._left = None if data else 0
                elif not data:
                    raise LinkLost(self._lost())
                else:
                    self._left -= len(data)
                    if self._chunked and self._left == 0 and await self._line():
                        raise self._nonsense("a chunk has another length than it says")
                return data
        except TimeoutError:
            raise LinkLost(f"{self._address.sender} fell silent") from None
        except OSError as error:
            raise LinkLost(self._lost()) from error

    def close(self) -> None:
        """Drop the connection."""
        self._kept = False
        self._writer.transport.abort()

    async def closed(self) -> None:
        """Wait until a connection that was dropped is gone."""
        with contextlib.suppress(OSError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._writer.wait_closed()

    async def _answer(self) -> Answer:
        for _ in range(MOST_INTERIM):
            line = await self._reader_line()
            if not line:
                raise Dropped(self._lost())
            match = _STATUS.fullmatch(line.decode("latin-1").rstrip("\r\n"))
            if match is None:
                raise self._nonsense("its answer is something else")
            status, fields = int(match.group(2)), await self._fields()
            if status >= 200:
                self._kept = match.group(1) == "1"
                return Answer(status=status, fields=fields)
        raise self._nonsense("it keeps announcing an answer")

    async def _fields(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        for _ in range(MOST_FIELDS + 1):
            line = await self._line()
            if not line:
                return fields
            match = _FIELD.fullmatch(line)
            if match is None:
                raise self._nonsense("a field of its answer has no name")
            name, value = match.group(1).lower(), match.group(2).strip()
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
        raise self._nonsense("its answer has too many fields")

    def _frame(self, answer: Answer) -> None:
        """Find out where the body ends."""
        fields = answer.fields
        coding, length = fields.get("transfer-encoding"), fields.get("content-length")
        self._chunked = coding is not None
        if coding is not None:
            self._left = 0
            if coding.lower() != "chunked":
                raise self._nonsense("its answer is coded in a way nobody asked for")
        elif answer.status in (204, 304):
            self._left = 0
        elif length is not None:
            if re.fullmatch("[0-9]{1,18}", length) is None:
                raise self._nonsense("its answer has no proper length")
            self._left = int(length)
        else:
            self._left = None
        options = {option.strip() for option in fields.get("connection", "").lower().split(",")}
        if "close" in options or self._left is None:
            self._kept = False

    async def _next_chunk(self) -> None:
        match = _SIZE.fullmatch(await self._line())
        if match is None:
            raise self._nonsense("a chunk does not say how long it is")
        self._left = int(match.group(1), 16)
        if self._left == 0:
            await self._fields()
            self._chunked = False

    async def _line(self) -> str:
        line = await self._reader_line()
        if not line.endswith(b"\n"):
            raise LinkLost(self._lost())
        return line.decode("latin-1").rstrip("\r\n")

    async def _reader_line(self) -> bytes:
        try:
            return await self._reader.readline()
        except ValueError as error:
            raise self._nonsense("a line of its answer is too long") from error

    def _lost(self) -> str:
        return f"the connection to {self._address.sender} was lost"

    def _nonsense(self, what: str) -> RemoteProtocolError:
        return RemoteProtocolError(f"{self._address.sender} does not speak HTTP/1.1: {what}")
