"""One plain HTTP request and its answer: a stream, or a range of it, for caches and object stores.

A stream is at its picture's name and ``.dfc``, encoded for the range that is asked for and no
further; a ``.dfc`` file of the catalogue is at its own name, so that a folder of files behind any
server looks the same.  To browsers the viewer is at ``/``, and what it needs below ``/-/``.  The
connection is closed after the answer.

websockets reads the request and hands it over before its own handshake; what is answered goes to
the transport directly, as fast as the client takes it and the encoder makes it.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import logging
from email.utils import formatdate
from http import HTTPStatus
from math import ceil
from urllib.parse import unquote

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from diffc_stream.container.grammar import VERSION
from diffc_stream.errors import LinkLost, RequestRefused
from diffc_stream.session import MAX_STREAM, Code
from diffc_viewer import Answer, Door, Question, Site

from .catalogue import Catalogue
from .comparison import PREFIX as COMPARISON
from .comparison import Comparison
from .encoding import STREAM_SUFFIX, is_stream
from .figures import Figures
from .files import File
from .pipeline import LOOK_AHEAD, Pipeline, SharedStream
from .ranges import Range, names
from .visits import Visit, unlimited

MEDIA_TYPE = "application/vnd.diffc"
"""Of a stream.  Not registered."""
MOST_RANGE = 65_536
"""Bytes; a longer range of a stream that is still being encoded is answered with so many."""
PATIENCE = 20.0
"""Seconds that a range may take to be encoded; then it is answered with what there is of it."""
MAX_AGE = 60
"""Seconds that a cache may go without asking whether the picture is still the same."""
RETRY_AFTER = 5
"""Seconds after which to come back when there was no time or no room."""
LINGER = 5.0
"""Seconds that the client gets to close the connection, when all has been sent."""

_FIRST_BLOCK = 256
_LEAST_BLOCK = 1024
_BLOCK = 4096
"""Bytes that a client has to take before the time of silence is up."""
_CHUNK = 65_536
"""The same for what a page needs, which is megabytes."""

_STATUS = {
    Code.UNKNOWN_IMAGE: HTTPStatus.NOT_FOUND,
    Code.UNREADABLE_IMAGE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Code.BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
}
_WORDS = {
    HTTPStatus.BAD_REQUEST: "say which host you mean, once",
    HTTPStatus.FORBIDDEN: "pages of other sites have no business here",
    HTTPStatus.NOT_FOUND: "there is no such stream; they are called PICTURE.dfc",
    HTTPStatus.METHOD_NOT_ALLOWED: "GET and HEAD are all there is",
    HTTPStatus.PRECONDITION_FAILED: "it has changed",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "it cannot be read as a picture",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "it is not that long",
    HTTPStatus.MISDIRECTED_REQUEST: "this is called localhost, or by its number, "
    "or as diffc-server --name says",
    HTTPStatus.INTERNAL_SERVER_ERROR: "encoding it failed",
    HTTPStatus.SERVICE_UNAVAILABLE: "not at the moment: come back later",
}

logger = logging.getLogger("diffc_server")


class Exchange:
    """Answers one request."""

    def __init__(
        self,
        connection: ServerConnection,
        request: Request,
        catalogue: Catalogue,
        pipeline: Pipeline,
        *,
        door: Door,
        site: Site | None,
        comparison: Comparison | None,
        epoch: str,
        idle: float,
        figures: Figures | None = None,
        visit: Visit | None = None,
    ) -> None:
        """Prepare to answer; a client that takes nothing for ``idle`` seconds is cut off.

        ``site`` and ``comparison`` are for pages, and may be missing.  ``epoch`` tells this run of
        the daemon from others, whose encoders may round differently.  ``visit`` says what the
        client may have; None: whatever it asks for.
        """
        self.visit = visit or unlimited()
        """Who it is, and what he may still have."""
        self._connection = connection
        self._request = request
        self._catalogue = catalogue
        self._pipeline = pipeline
        self._door = door
        self._site = site
        self._comparison = comparison
        self._epoch = epoch
        self._idle = idle
        self._figures = figures or Figures()
        self._sent = 0
        self._response: Response | None = None
        self._awoken = asyncio.Event()
        self._wake = self._awoken.set
        self._gone = asyncio.create_task(connection.wait_closed())
        self._gone.add_done_callback(lambda _: self._wake())
        self._draining = False
        address = connection.remote_address or ("somebody", 0)
        self._peer = f"{address[0]}:{address[1]}"

    async def run(self) -> Response | None:
        """Answer and close the connection; return what was answered, without a stream's bytes."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            await self._answer()
            await self._finish()
        except LinkLost as error:
            logger.info("%s left: %s", self._peer, error)
        except Exception:
            # A bug, and no reason to disturb the others.
            logger.exception("an exchange failed")
        finally:
            self._connection.transport.abort()
            self._note(clock() - began)
            await self._gone
        return self._response

    def drain(self) -> None:
        """Wait for the encoder no more; what is there may still be sent."""
        self._draining = True
        self._wake()

    def abort(self) -> None:
        """Drop the connection without a word."""
        self._connection.transport.abort()

    async def _answer(self) -> None:
        refusal = self._objection()
        if refusal is not None:
            await self._say(refusal)
            return
        try:
            if self._site is not None and self._site.has(self._target):
                await self._give(await self._page(self._site))
                return
            shared, etag = self._stream(await asyncio.to_thread(self._file))
            shared.join(self._wake, self.visit.account)
            try:
                await self._serve(shared, etag)
            finally:
                shared.leave(self._wake)
        except RequestRefused as error:
            if self._response is not None:
                # The client has to see that this is not the end of the stream.
                raise LinkLost(f"there is no more for it: {error}") from error
            status = _STATUS.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)
            after = {} if error.after is None else {"Retry-After": str(ceil(error.after))}
            await self._say(status, after)

    @property
    def _target(self) -> str:
        """What is asked for, percent-encoded."""
        return self._request.path.partition("?")[0]

    def _objection(self) -> HTTPStatus | None:
        request = self._request
        old = request.protocol == "HTTP/1.0"
        objection = self._door.objection(
            request.headers.get_all, path=self._target, local=is_local(self._connection), old=old
        )
        if objection is not None:
            return objection
        if request.method not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED
        return None

    async def _page(self, site: Site) -> Answer:
        """Return what a browser is answered with.  Raises RequestRefused."""
        path, headers = self._target, self._request.headers
        if path.startswith(COMPARISON):
            if self._comparison is None:
                raise RequestRefused(Code.UNKNOWN_IMAGE, "nothing is compared here")
            return await self._comparison.answer(self._request.path)
        host = headers.get("Host", "")
        question = Question(
            path=path,
            host=host if self._door.is_own(host) else "",
            accepts=",".join(headers.get_all("Accept-Encoding")),
            known=",".join(headers.get_all("If-None-Match")),
        )
        return await asyncio.to_thread(site.answer, question)

    async def _give(self, answer: Answer) -> None:
        length = {} if answer.status is HTTPStatus.NOT_MODIFIED else _length(answer.body)
        await self._begin(answer.status, answer.fields | length)
        if self._request.method != "HEAD":
            for start in range(0, len(answer.body), _CHUNK):
                await self._write(answer.body[start : start + _CHUNK])

    def _file(self) -> File:
        """Return the file that is asked for.  Raises RequestRefused if there is none."""
        target = self._target
        try:
            name = unquote(target, errors="strict").removeprefix("/")
        except UnicodeDecodeError as error:
            raise RequestRefused(Code.UNKNOWN_IMAGE, "not a name") from error
        if not target.startswith("/") or not name.lower().endswith(STREAM_SUFFIX):
            raise RequestRefused(Code.UNKNOWN_IMAGE, "not the name of a stream")
        try:
            return self._catalogue.file(name)
        except RequestRefused:
            file = self._catalogue.file(name[: -len(STREAM_SUFFIX)])
            if is_stream(file.path):
                raise
            return file

    def _stream(self, file: File) -> tuple[SharedStream, str]:
        """Return the stream of a file, and what to call this version of it."""
        shared = self._pipeline.of(file)
        # What the bytes follow from, and nothing that another encoder may have made of it.
        facts = f"{self._epoch} {VERSION} {shared.model} {tuple(file.version)} {file.path}"
        return shared, _tag(facts.encode())

    async def _serve(self, shared: SharedStream, etag: str) -> None:
        headers = self._request.headers
        if shared.light:
            await self._reach(shared, MAX_STREAM)
            # The same after a restart too, and wherever else the file is.
            etag = await asyncio.to_thread(_tag, shared.read(0, len(shared)))
        # These may be repeated: a list goes on.
        match = ",".join(headers.get_all("If-Match")) or "*"
        if match != "*" and not names(match, etag, weakly=False):
            await self._say(HTTPStatus.PRECONDITION_FAILED)
            return
        none_match = ",".join(headers.get_all("If-None-Match"))
        if none_match == "*" or names(none_match, etag, weakly=True):
            await self._begin(HTTPStatus.NOT_MODIFIED, _cacheable(etag))
            return
        if self._request.method == "HEAD":
            await self._begin(HTTPStatus.OK, self._described(shared, etag))
            return
        wanted = self._range(etag)
        if wanted is None or (wanted.first is None and not shared.complete):
            await self._send_whole(shared, etag)
        else:
            await self._send_range(shared, wanted, etag)

    def _range(self, etag: str) -> Range | None:
        """Return the range that is asked for; None: everything."""
        headers = self._request.headers
        values, conditions = headers.get_all("Range"), headers.get_all("If-Range")
        if len(values) != 1 or not all(names(value, etag, weakly=False) for value in conditions):
            return None
        return Range.parse(values[0])

    async def _send_range(self, shared: SharedStream, wanted: Range, etag: str) -> None:
        if not shared.complete:
            assert wanted.first is not None
            await self._reach_range(shared, wanted)
            # What is not there by now will be asked for again.
            wanted = Range(
                first=wanted.first,
                last=min(wanted.first + MOST_RANGE, len(shared), *_after(wanted)) - 1,
            )
        total = str(len(shared)) if shared.complete else "*"
        found = wanted.within(len(shared))
        if found is None:
            length = {"Content-Range": f"bytes */{total}"} if total != "*" else {}
            await self._say(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, length)
            return
        head = self._described(shared, etag) | {
            "Content-Length": str(len(found)),
            "Content-Range": f"bytes {found.start}-{found.stop - 1}/{total}",
        }
        await self._begin(HTTPStatus.PARTIAL_CONTENT, head)
        for start in range(found.start, found.stop, _BLOCK):
            await self._write(shared.read(start, min(start + _BLOCK, found.stop)))

    async def _reach_range(self, shared: SharedStream, wanted: Range) -> None:
        """Have the range encoded, or as much of it as there is time for.

        Raises RequestRefused if that is nothing.
        """
        assert wanted.first is not None
        if wanted.first >= MAX_STREAM:
            return
        end = min(wanted.first + MOST_RANGE, MAX_STREAM, *_after(wanted))
        try:
            async with asyncio.timeout(PATIENCE):
                await self._reach(shared, end)
        except TimeoutError:
            if len(shared) <= wanted.first:
                raise RequestRefused(Code.BUSY, "that takes longer", retry=True) from None

    async def _send_whole(self, shared: SharedStream, etag: str) -> None:
        """Send everything, as it is encoded: no further ahead of the client than on a WebSocket."""
        await self._reach(shared, 1)
        head = self._described(shared, etag)
        chunked = not shared.complete and self._request.protocol == "HTTP/1.1"
        if chunked:
            head["Transfer-Encoding"] = "chunked"
        await self._begin(HTTPStatus.OK, head)
        position, least = 0, _FIRST_BLOCK
        while True:
            await self._reach(shared, position + least)
            block = shared.read(position, position + _BLOCK)
            if not block:
                break
            position, least = position + len(block), _LEAST_BLOCK
            if not shared.complete:
                shared.want(position + LOOK_AHEAD)
            await self._write(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
        if chunked:
            await self._write(b"0\r\n\r\n")

    async def _reach(self, shared: SharedStream, length: int) -> None:
        """Wait for ``length`` bytes, or all there are.  Raises RequestRefused or LinkLost.

        The encoder is asked for a little at a time: when nobody waits any more, it stops.
        """
        while not shared.complete and len(shared) < length:
            if (refusal := shared.refusal(self.visit.account)) is not None:
                raise refusal
            if self._gone.done():
                raise LinkLost("the connection was closed")
            if self._draining:
                raise RequestRefused(Code.BUSY, "the sender is shutting down", retry=True)
            shared.want(min(length, len(shared) + LOOK_AHEAD))
            self._awoken.clear()
            await self._awoken.wait()

    def _described(self, shared: SharedStream, etag: str) -> dict[str, str]:
        head = _cacheable(etag) | {"Content-Type": MEDIA_TYPE, "Accept-Ranges": "bytes"}
        if shared.complete:
            head["Content-Length"] = str(len(shared))
        return head

    async def _say(self, status: HTTPStatus, more: dict[str, str] | None = None) -> None:
        """Answer with one line for people."""
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
        await self._begin(status, head)
        if self._request.method != "HEAD":
            await self._write(text)

    async def _begin(self, status: HTTPStatus, head: dict[str, str]) -> None:
        headers = Headers(Date=formatdate(usegmt=True), Connection="close", **head)
        if self.visit.token is not None and "Cache-Control" in headers:
            # What it took a token to get is not for caches between here and there.
            kept = headers.pop("Cache-Control")
            headers["Cache-Control"] = kept if kept == "no-store" else f"private, {kept}"
        if self.visit.cookie:
            headers["Set-Cookie"] = self.visit.cookie
        self._response = Response(status.value, status.phrase, headers)
        self._figures.answered[f"{status // 100}xx"] += 1
        await self._write(self._response.serialize())

    def _note(self, seconds: float) -> None:
        """Log what was answered, if anything was."""
        if self._response is None:
            return
        status = self._response.status_code
        level = logging.INFO if status < HTTPStatus.BAD_REQUEST else logging.WARNING
        if self._site is not None and self._site.has(self._target):
            level = logging.DEBUG  # a page asks for dozens, and shows what is missing
        # A path is ASCII, but may hold anything that a terminal takes for a command.
        # What follows a question mark may be somebody's idea of where a token goes.
        where = ascii(self._target[:300])
        facts = {"status": status, "bytes": self._sent, "seconds": round(seconds, 3)}
        logger.log(level, "%s got %s over HTTP: %d", self._peer, where, status, extra=facts)

    async def _write(self, data: bytes) -> None:
        connection = self._connection
        if connection.transport.is_closing() or connection.protocol.close_expected():
            raise LinkLost("the connection was closed")
        await self._afford(len(data))
        connection.transport.write(data)
        self._sent += len(data)
        self._figures.body += len(data)
        await self._flush()

    async def _afford(self, size: int) -> None:
        """Wait until the visitor may be sent something; all who wait take turns."""
        clock = asyncio.get_running_loop().time
        while (due := self.visit.ready_at(now := clock())) > now:
            done, _ = await asyncio.wait([self._gone], timeout=due - now)
            if done:
                raise LinkLost("the connection was closed")
        self.visit.spend(size)

    async def _flush(self) -> None:
        try:
            async with asyncio.timeout(self._idle):
                await self._connection.drain()
        except TimeoutError:
            raise LinkLost("the client does not take what it asked for") from None
        except OSError as error:
            raise LinkLost("the connection was lost") from error

    async def _finish(self) -> None:
        """Have all that was written sent, and let the client close the connection first."""
        transport = self._connection.transport
        transport.set_write_buffer_limits(0)
        await self._flush()
        if not transport.is_closing():
            transport.write_eof()
        await asyncio.wait([self._gone], timeout=LINGER)


def _after(wanted: Range) -> tuple[int, ...]:
    """Return where the range ends, if it does."""
    return () if wanted.last is None else (wanted.last + 1,)


def _tag(data: bytes) -> str:
    """Return a strong entity tag for what ``data`` identifies."""
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'


def _cacheable(etag: str) -> dict[str, str]:
    return {"ETag": etag, "Cache-Control": f"max-age={MAX_AGE}"}


def _length(body: bytes) -> dict[str, str]:
    return {"Content-Length": str(len(body))}


def is_local(connection: ServerConnection) -> bool:
    """Tell whether a connection came over the loopback."""
    address = connection.local_address
    return bool(address) and ipaddress.ip_address(address[0].partition("%")[0]).is_loopback
