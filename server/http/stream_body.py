"""Sends a picture's stream over HTTP, encoding only as far as the requested range goes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from websockets.http11 import Request

from diffc_stream.errors import LinkLost, RequestRefused
from diffc_stream.session import MAX_STREAM, Code

from ..auth.quotas import ConnectionQuota
from ..encoding.shared_stream import LOOK_AHEAD, SharedStream
from .ranges import Range, ranged
from .response import ResponseWriter

MEDIA_TYPE = "application/vnd.diffc"
"""The media type of a stream; it is not registered."""
MAX_AGE = 60
"""Seconds for which a cache need not ask whether the picture has changed."""
MOST_RANGE = 65_536
"""Bytes of a range that are sent at most while the stream is still being encoded ..."""
PATIENCE = 20.0
"""... and after so many seconds, what there is of it.  Open ranges wait for the whole."""

_FIRST_BLOCK = 256
_LEAST_BLOCK = 1024
_BLOCK = 4096
"""Bytes that a client has to take within the idle time."""


class StreamBody:
    """One client's answer from a stream that others may share."""

    def __init__(
        self,
        writer: ResponseWriter,
        request: Request,
        shared: SharedStream,
        etag: str,
        quota: ConnectionQuota,
    ) -> None:
        """Prepare to send the stream ``shared``, whose entity tag is ``etag``."""
        self._writer = writer
        self._request = request
        self._shared = shared
        self._etag = etag
        self._maker = shared.maker
        self._visit = quota
        self._awoken = asyncio.Event()
        self._wake = self._awoken.set
        self._draining = False

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Use the stream inside this block."""
        self._shared.join(self._wake, self._visit.account)
        self._writer.gone.add_done_callback(self._leave_waiting)
        try:
            yield
        finally:
            self._writer.gone.remove_done_callback(self._leave_waiting)
            self._shared.leave(self._wake)

    def drain(self) -> None:
        """Stop waiting for the encoder; what has been encoded is still sent."""
        self._draining = True
        self._wake()

    async def send(self) -> None:
        """Send the requested part.  Raises RequestRefused or LinkLost."""
        if self._writer.bodiless:
            await self._writer.begin(HTTPStatus.OK, self._described())
            return
        wanted = ranged(self._request.headers.get_all, self._etag)
        # An open range from the start, or one from an end that is not known yet, is sent whole.
        if wanted is None or (not wanted.first and wanted.open and not self._shared.complete):
            await self._send_whole()
        else:
            await self._send_range(wanted)

    async def _send_range(self, wanted: Range) -> None:
        if not self._shared.complete:
            assert wanted.first is not None
            await (self._reach_end(wanted) if wanted.open else self._reach_range(wanted))
        if not self._shared.complete:
            assert wanted.first is not None
            # The client asks again for what has not been encoded by now.
            wanted = Range(
                first=wanted.first,
                last=min(wanted.first + MOST_RANGE, len(self._shared), *_after(wanted)) - 1,
            )
        total = str(len(self._shared)) if self._shared.complete else "*"
        found = wanted.within(len(self._shared))
        if found is None:
            length = {"Content-Range": f"bytes */{total}"} if total != "*" else {}
            await self._writer.say(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, length)
            return
        head = self._described() | {
            "Content-Length": str(len(found)),
            "Content-Range": f"bytes {found.start}-{found.stop - 1}/{total}",
        }
        await self._writer.begin(HTTPStatus.PARTIAL_CONTENT, head)
        for start in range(found.start, found.stop, _BLOCK):
            await self._writer.write(self._shared.read(start, min(start + _BLOCK, found.stop)))

    async def _reach_range(self, wanted: Range) -> None:
        """Wait until the range is encoded, or as much of it as there is time for.

        Raises RequestRefused if that is not a single byte.
        """
        assert wanted.first is not None
        if wanted.first >= MAX_STREAM:
            return
        end = min(wanted.first + MOST_RANGE, MAX_STREAM, *_after(wanted))
        try:
            async with asyncio.timeout(PATIENCE):
                await self._skip(wanted.first)
                await self._reach(end)
        except TimeoutError:
            if len(self._shared) <= wanted.first:
                raise RequestRefused(Code.BUSY, "that takes longer", retry=True) from None

    async def _reach_end(self, wanted: Range) -> None:
        """Wait until the whole stream is encoded, however long that takes.

        A range's answer has to state its length, so it cannot grow later; and a client that asks
        for the rest would take a shorter answer for the whole rest.
        """
        assert wanted.first is not None
        if wanted.first < MAX_STREAM:
            await self._skip(wanted.first)
            await self._reach(MAX_STREAM)

    async def _skip(self, length: int) -> None:
        """Wait for the bytes before the range, which the client claims to hold without proof."""
        if length <= len(self._shared) or self._shared.complete:
            return
        async with self._visit.claims.claim(self._visit.account) as claim:
            self._shared.bill(self._wake, claim)
            await self._reach(length, claimed=True)
            self._shared.bill(self._wake, self._visit.account)

    async def _send_whole(self) -> None:
        """Send everything, as it is encoded: no further ahead of the client than on a WebSocket."""
        await self._reach(1)
        head = self._described()
        chunked = not self._shared.complete and self._request.protocol == "HTTP/1.1"
        if chunked:
            head["Transfer-Encoding"] = "chunked"
        if not (chunked or self._shared.complete):
            self._writer.end_by_close()
        await self._writer.begin(HTTPStatus.OK, head)
        position, least = 0, _FIRST_BLOCK
        while True:
            await self._reach(position + least)
            block = self._shared.read(position, position + _BLOCK)
            if not block:
                break
            position, least = position + len(block), _LEAST_BLOCK
            if not self._shared.complete:
                self._shared.want(position + LOOK_AHEAD)
            await self._writer.write(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
        if chunked:
            await self._writer.write(b"0\r\n\r\n")

    async def _reach(self, length: int, *, claimed: bool = False) -> None:
        """Wait for ``length`` bytes, or all there are.  Raises RequestRefused or LinkLost.

        It refuses if another encoder goes on with the stream, which then has another entity tag.

        It asks the encoder for a little at a time, so that the encoder stops with the last client.
        """
        while not self._shared.complete and len(self._shared) < length:
            if (refusal := self._shared.refusal(self._visit.account)) is not None:
                raise refusal
            if self._writer.gone.done():
                raise LinkLost("the connection was closed")
            if self._draining:
                raise RequestRefused(Code.BUSY, "the sender is shutting down", retry=True)
            ahead = min(length, len(self._shared) + LOOK_AHEAD)
            self._shared.want(ahead, claimed=claimed)
            self._awoken.clear()
            await self._awoken.wait()
        if self._shared.maker != self._maker:
            raise RequestRefused(Code.BUSY, "another encoder goes on", retry=True, after=1.0)

    def _described(self) -> dict[str, str]:
        head = described(self._etag)
        if self._shared.complete:
            head["Content-Length"] = str(len(self._shared))
        return head

    def _leave_waiting(self, _: object) -> None:
        self._wake()


def described(etag: str) -> dict[str, str]:
    """Return the headers of every answer that is a stream."""
    return cacheable(etag) | {"Content-Type": MEDIA_TYPE, "Accept-Ranges": "bytes"}


def cacheable(etag: str) -> dict[str, str]:
    """Return the headers that say how long a cache may keep it."""
    return {"ETag": etag, "Cache-Control": f"max-age={MAX_AGE}"}


def _after(wanted: Range) -> tuple[int, ...]:
    """Return the end of the range as a tuple, which is empty if it has none."""
    return () if wanted.last is None else (wanted.last + 1,)
