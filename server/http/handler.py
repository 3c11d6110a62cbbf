"""Answers one plain HTTP request: with a stream or a range of it, or a file of the viewer.

The stream of a picture is at the picture's name plus ``.dfc``, and is encoded only as far as the
requested range goes.  If it starts from another picture, ``.dfc?plain`` is the stream that does
not.  A ``.dfc`` file of the catalogue is at its own name, so a folder of such
files behind any web server looks the same to clients.  Browsers find the viewer at ``/``, and its
files below ``/-/``.  The connection closes after the answer.

The library websockets parses the request and passes it on before its own handshake.  The answer is
written to the transport directly, as fast as the client takes it and the encoder makes it.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from math import ceil
from urllib.parse import unquote

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from diffc_stream.container.grammar import STREAM_SUFFIX
from diffc_stream.errors import LinkLost, RequestRefused
from diffc_stream.opening import is_passing
from diffc_stream.session import Code
from diffc_stream.transport.exposure import neighbourhood
from diffc_stream.transport.listener import is_local
from diffc_viewer import OriginPolicy, Site, SiteRequest, SiteResponse

from ..auth.quotas import ConnectionQuota, unlimited_quota
from ..catalogue.catalogue import Catalogue
from ..catalogue.file import File, try_later
from ..encoding.pipeline import Pipeline
from ..encoding.predecessor import joined
from ..encoding.source import is_stream
from ..encoding.stream_file import length
from ..ops.metrics import SenderMetrics
from .buffers import Buffers
from .comparison import PREFIX as COMPARISON
from .comparison import Comparison
from .ranges import precondition, ranged
from .response import ResponseWriter
from .stream_body import StreamBody, cacheable, described

CHUNK = 32_768
"""Bytes of a file that are read at once; the client has to take them before the next are read."""

PLAIN = "plain"
"""The query that asks for a stream that starts from no other picture."""
_STATUS = {
    Code.UNKNOWN_IMAGE: HTTPStatus.NOT_FOUND,
    Code.UNREADABLE_IMAGE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Code.BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
}

logger = logging.getLogger("diffc_server")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpService:
    """What all requests share."""

    catalogue: Catalogue
    pipeline: Pipeline
    origin_policy: OriginPolicy
    site: Site | None
    """The viewer, if browsers are served."""
    comparison: Comparison | None
    idle: float
    """Seconds after which a client that takes no data is disconnected."""
    metrics: SenderMetrics
    buffers: Buffers = field(default_factory=Buffers)
    """Count the memory of all answers."""


class RequestHandler:
    """One request and its answer."""

    def __init__(
        self,
        connection: ServerConnection,
        request: Request,
        service: HttpService,
        quota: ConnectionQuota | None = None,
    ) -> None:
        """Prepare to answer within the limits of ``quota``; None is without limits."""
        self.quota = quota or unlimited_quota()
        """The client's limits and token."""
        self._connection = connection
        self._request = request
        self._service = service
        self._writer = ResponseWriter(
            connection, request, idle=service.idle, metrics=service.metrics, quota=self.quota
        )
        self._growing: StreamBody | None = None
        self._draining = False
        address = connection.remote_address or ("unknown", 0)
        self._peer = f"{address[0]}:{address[1]}"
        self._client = self.quota.name or neighbourhood(str(address[0]))

    async def run(self) -> Response | None:
        """Answer and close the connection; return the response without its body."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            await self._answer()
            await self._writer.finish()
        except LinkLost as error:
            logger.info("%s left: %s", self._peer, error)
        except Exception:
            # A bug, which must not disturb other connections.
            logger.exception("a request failed")
        finally:
            self._writer.abort()
            self._note(clock() - began)
            await self._writer.gone
        return self._writer.response

    def drain(self) -> None:
        """Stop waiting for the encoder; what has been encoded is still sent."""
        self._draining = True
        if self._growing is not None:
            self._growing.drain()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._writer.abort()

    async def _answer(self) -> None:
        refusal = self._objection()
        if refusal is not None:
            await self._writer.say(refusal)
            return
        try:
            if self._service.site is not None and self._service.site.has(self._target):
                await self._give(await self._page(self._service.site))
                return
            file, before = await asyncio.to_thread(self._located)
            if is_stream(file.path):
                await self._send_ready(file)
            else:
                await self._send_growing(file, before)
        except RequestRefused as error:
            await self._refuse(error)
        except (OSError, RuntimeError, MemoryError) as error:
            # Descriptors, threads or memory have run out, which says nothing about the picture.
            if not is_passing(error):
                raise
            await self._refuse(try_later())

    async def _refuse(self, error: RequestRefused) -> None:
        if self._writer.response is not None:
            # The answer has begun: dropping the connection shows that it is incomplete.
            raise LinkLost(f"the stream ended early: {error}") from error
        status = _STATUS.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)
        after = {} if error.after is None else {"Retry-After": str(ceil(error.after))}
        await self._writer.say(status, after)

    @property
    def _target(self) -> str:
        """The path of the request, percent-encoded, without a query."""
        return self._request.path.partition("?")[0]

    def _objection(self) -> HTTPStatus | None:
        request = self._request
        old = request.protocol == "HTTP/1.0"
        objection = self._service.origin_policy.refusal(
            request.headers.get_all, path=self._target, local=is_local(self._connection), old=old
        )
        if objection is not None:
            return objection
        if request.method not in ("GET", "HEAD"):
            return HTTPStatus.METHOD_NOT_ALLOWED
        return None

    async def _page(self, site: Site) -> SiteResponse:
        """Return the answer for a path of the viewer.  Raises RequestRefused."""
        path, headers = self._target, self._request.headers
        if path.startswith(COMPARISON):
            if self._service.comparison is None:
                raise RequestRefused(Code.UNKNOWN_IMAGE, "comparisons are switched off")
            return await self._service.comparison.answer(self._request.path)
        host = headers.get("Host", "")
        question = SiteRequest(
            path=path,
            host=host if self._service.origin_policy.is_own(host) else "",
            accepts=",".join(headers.get_all("Accept-Encoding")),
            known=",".join(headers.get_all("If-None-Match")),
        )
        return await asyncio.to_thread(site.answer, question, whole=False)

    async def _give(self, answer: SiteResponse) -> None:
        size = len(answer.body) if answer.file is None else answer.file.size
        bodiless = answer.status is HTTPStatus.NOT_MODIFIED
        head = answer.fields if bodiless else answer.fields | {"Content-Length": str(size)}
        if bodiless or self._writer.bodiless:
            await self._writer.begin(answer.status, head)
        elif answer.file is None:
            with self._service.buffers.held(self._client, size, answer.body):
                await self._writer.begin(answer.status, head)
                for start in range(0, size, CHUNK):
                    await self._writer.write(answer.body[start : start + CHUNK])
        else:
            with self._service.buffers.held(self._client, CHUNK):
                await self._writer.begin(answer.status, head)
                for start in range(0, size, CHUNK):
                    await self._writer.write(
                        await asyncio.to_thread(answer.file.read, start, min(CHUNK, size - start))
                    )

    def _located(self) -> tuple[File, tuple[File, ...]]:
        """Return the requested file, and the pictures that its stream may go back to.

        Raises RequestRefused if there is none.
        """
        target, catalogue = self._target, self._service.catalogue
        try:
            name = unquote(target, errors="strict").removeprefix("/")
        except UnicodeDecodeError as error:
            raise RequestRefused(Code.UNKNOWN_IMAGE, "not a name") from error
        if not target.startswith("/") or not name.lower().endswith(STREAM_SUFFIX):
            raise RequestRefused(Code.UNKNOWN_IMAGE, "not the name of a stream")
        try:
            return catalogue.file(name), ()
        except RequestRefused:
            name = name[: -len(STREAM_SUFFIX)]
            file = catalogue.file(name)
            if is_stream(file.path):
                raise
            plain = self._request.path.partition("?")[2] == PLAIN
            return file, () if plain else catalogue.before(name, file)

    async def _send_ready(self, file: File) -> None:
        """Send a file that is a stream already, a piece at a time."""
        ready, size = self._service.pipeline.ready, length(file)
        etag = await ready.tag(file)
        if await self._precondition(etag):
            return
        head = described(etag) | {"Content-Length": str(size)}
        found, status = range(size), HTTPStatus.OK
        wanted = ranged(self._request.headers.get_all, etag)
        if wanted is not None and not self._writer.bodiless:
            within = wanted.within(size)
            if within is None:
                status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
                await self._writer.say(status, {"Content-Range": f"bytes */{size}"})
                return
            found, status = within, HTTPStatus.PARTIAL_CONTENT
            head |= {
                "Content-Length": str(len(found)),
                "Content-Range": f"bytes {found.start}-{found.stop - 1}/{size}",
            }
        if self._writer.bodiless:
            await self._writer.begin(status, head)
            return
        with self._service.buffers.held(self._client, min(CHUNK, len(found))):
            # Read before the head is sent: an error can still be answered with its status.
            piece = await ready.read(file, found.start, min(found.start + CHUNK, found.stop))
            await self._writer.begin(status, head)
            for start in range(found.start, found.stop, CHUNK):
                if start > found.start:
                    piece = await ready.read(file, start, min(start + CHUNK, found.stop))
                await self._writer.write(piece)

    async def _send_growing(self, file: File, before: tuple[File, ...]) -> None:
        """Send a picture's stream while it is encoded."""
        shared = self._service.pipeline.of(file, before=before)
        with ExitStack() as stack:
            # Dropped meanwhile, it would grow uncounted.
            with joined(shared, self.quota.account):
                etag = await shared.tag()
                growing = StreamBody(self._writer, self._request, shared, etag, self.quota)
                stack.enter_context(growing.joined())
            self._growing = growing
            if self._draining:
                growing.drain()
            if not await self._precondition(etag):
                await growing.send()

    async def _precondition(self, etag: str) -> bool:
        """Answer if the request's conditions decide it, and tell whether they did."""
        status = precondition(self._request.headers.get_all, etag)
        if status is HTTPStatus.NOT_MODIFIED:
            await self._writer.begin(status, cacheable(etag))
        elif status is not None:
            await self._writer.say(status)
        return status is not None

    def _note(self, seconds: float) -> None:
        """Log the answer, if there was one."""
        if self._writer.response is None:
            return
        status = self._writer.response.status_code
        level = logging.INFO if status < HTTPStatus.BAD_REQUEST else logging.WARNING
        if self._service.site is not None and self._service.site.has(self._target):
            level = logging.DEBUG  # one page makes dozens, and shows errors
        # ascii() because a path may contain terminal control sequences.  The query is left
        # out because a client may have put a token there.
        where = ascii(self._target[:300])
        facts = {"status": status, "bytes": self._writer.sent, "seconds": round(seconds, 3)}
        logger.log(level, "%s got %s over HTTP: %d", self._peer, where, status, extra=facts)
