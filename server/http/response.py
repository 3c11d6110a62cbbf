"""Writes one HTTP answer: its head, and its body as fast as the client takes it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from email.utils import formatdate
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from diffc_stream.errors import LinkLost
from diffc_stream.ledger import LOOK_AGAIN

from ..auth.quotas import ConnectionQuota
from ..ops.metrics import SenderMetrics

RETRY_AFTER = 5
"""Default Retry-After, in seconds, of an answer 503."""
LINGER = 5.0
"""Seconds that the client gets to close the connection after the last byte."""
UNSENT = 131_072
"""Bytes that the system may buffer for a client and has not sent yet."""

_LINGER = "hh" if sys.platform == "win32" else "ii"
"""The two numbers of SO_LINGER: whether, and for how many seconds."""
_WORDS = {
    HTTPStatus.BAD_REQUEST: "send exactly one Host header",
    HTTPStatus.FORBIDDEN: "pages of other sites are refused",
    HTTPStatus.NOT_FOUND: "there is no such stream; they are called PICTURE.dfc",
    HTTPStatus.METHOD_NOT_ALLOWED: "only GET and HEAD are supported",
    HTTPStatus.PRECONDITION_FAILED: "it has changed",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "it cannot be read as a picture",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "the range is beyond the end",
    HTTPStatus.MISDIRECTED_REQUEST: "use localhost, the IP address, "
    "or a name of diffc-server --name",
    HTTPStatus.INTERNAL_SERVER_ERROR: "encoding it failed",
    HTTPStatus.SERVICE_UNAVAILABLE: "not at the moment: come back later",
}


class ResponseWriter:
    """The answer to one request."""

    def __init__(
        self,
        connection: ServerConnection,
        request: Request,
        *,
        idle: float,
        metrics: SenderMetrics,
        quota: ConnectionQuota,
    ) -> None:
        """Prepare to answer; a client that takes no data for ``idle`` seconds is dropped."""
        self.sent = 0
        """Bytes written so far."""
        self.response: Response | None = None
        """The response without its body; None before its head is sent."""
        self.gone = asyncio.create_task(connection.wait_closed())
        """A task that is done once the connection is closed."""
        self._connection = connection
        self._request = request
        self._idle = idle
        self._metrics = metrics
        self._visit = quota
        self._hold_little()

    @property
    def bodiless(self) -> bool:
        """Whether the request is a HEAD request."""
        return self._request.method == "HEAD"

    async def say(self, status: HTTPStatus, more: dict[str, str] | None = None) -> None:
        """Answer with a line of text for a person, and ``more`` headers."""
        text = f"{_WORDS[status]}\n".encode()
        head = {
            "Cache-Control": "no-store",
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": str(len(text)),
            **(more or {}),
        }
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            head["Allow"] = "GET, HEAD"
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            head.setdefault("Retry-After", str(RETRY_AFTER))
        await self.begin(status, head)
        if not self.bodiless:
            await self.write(text)

    async def begin(self, status: HTTPStatus, head: dict[str, str]) -> None:
        """Send the head.  Raises LinkLost."""
        headers = Headers(Date=formatdate(usegmt=True), Connection="close", **head)
        if self._visit.token is not None and "Cache-Control" in headers:
            # Shared caches must not give out what only a token gives access to.
            kept = headers.pop("Cache-Control")
            headers["Cache-Control"] = kept if kept == "no-store" else f"private, {kept}"
        if self._visit.cookie:
            headers["Set-Cookie"] = self._visit.cookie
        self.response = Response(status.value, status.phrase, headers)
        self._metrics.answered[f"{status // 100}xx"] += 1
        await self.write(self.response.serialize())

    async def write(self, data: bytes) -> None:
        """Write bytes, and wait until nearly all have been sent.  Raises LinkLost."""
        connection = self._connection
        if connection.transport.is_closing() or connection.protocol.close_expected():
            raise LinkLost("the connection was closed")
        await self._afford(len(data))
        connection.transport.write(data)
        self.sent += len(data)
        self._metrics.body += len(data)
        await self._flush()

    async def finish(self) -> None:
        """Send all that was written, and let the client close the connection first."""
        transport = self._connection.transport
        if transport.can_write_eof():
            transport.set_write_buffer_limits(0)
            await self._flush()
            self._linger(None)
            if not transport.is_closing():
                transport.write_eof()
        else:
            # TLS has no half-close: this sends what is left, says so, and closes.
            self._linger(None)
            transport.close()
        await asyncio.wait([self.gone], timeout=LINGER)

    def abort(self) -> None:
        """Drop the connection at once."""
        self._connection.transport.abort()

    def end_by_close(self) -> None:
        """Note that only the end of the connection ends the body: neither length nor chunks do.

        Until :meth:`finish` any other end of the connection is a reset, so that it looks like none.
        """
        self._linger(0)

    async def _afford(self, size: int) -> None:
        """Wait until the client's limits let it receive more, then count ``size`` bytes."""
        clock = asyncio.get_running_loop().time
        while (due := self._visit.ready_at(now := clock())) > now:
            # Limits may be changed meanwhile.
            done, _ = await asyncio.wait([self.gone], timeout=min(due - now, LOOK_AGAIN))
            if done:
                raise LinkLost("the connection was closed")
        self._visit.spend(size)

    async def _flush(self) -> None:
        try:
            async with asyncio.timeout(self._idle):
                await self._connection.drain()
        except TimeoutError:
            raise LinkLost("the client does not read its answer") from None
        except OSError as error:
            raise LinkLost("the connection was lost") from error

    def _linger(self, seconds: int | None) -> None:
        """Have a close of the connection reset it after ``seconds``; None is as usual."""
        found = self._connection.transport.get_extra_info("socket")
        if found is not None:
            option = struct.pack(_LINGER, seconds is not None, seconds or 0)
            with contextlib.suppress(OSError):  # it has been closed already
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)

    def _hold_little(self) -> None:
        """Limit the system's buffer to UNSENT bytes; by default it takes megabytes."""
        found = self._connection.transport.get_extra_info("socket")
        option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
        if found is not None and option is not None:
            with contextlib.suppress(OSError):
                found.setsockopt(socket.IPPROTO_TCP, option, UNSENT)
