"""A receiver's connection: a WebSocket joined to a session and to the pipeline.

Two tasks share the session, both on the event loop.  One reads: it passes every message to the
session and acts on the events.  The other writes: it alone sends the frames that the scheduler
moves into the session, so a slow link holds back everything behind this task.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import secrets
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice

from structlog.contextvars import bound_contextvars
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from diffc_stream.errors import (
    LinkLost,
    RequestRefused,
    SessionError,
    Unauthorized,
)
from diffc_stream.ledger import LOOK_AGAIN
from diffc_stream.opening import is_passing
from diffc_stream.session import (
    Capability,
    Code,
    List,
    Message,
    Open,
    Reason,
    SenderSession,
    Stop,
    Terms,
    Update,
)
from diffc_stream.session.paging import Page
from diffc_stream.transport.pacing import Paced

from ..auth.quotas import ConnectionQuota, unlimited_quota
from ..catalogue.catalogue import Catalogue
from ..encoding.pipeline import Pipeline, SharedStream
from ..ops.metrics import SenderMetrics
from .batched_write import write
from .outbound_stream import OutboundStream, Requested
from .page_window import PageWindow
from .resolver import Resolver
from .scheduler import FrameScheduler

CAPABILITIES = (
    Capability.DFC1,
    Capability.DFC2,
    Capability.DFC3,
    Capability.DFC4,
    Capability.DFC5,
    Capability.HTTP,
    Capability.FOLLOW,
    Capability.REGION,
)
GATHER = 0.05
"""Seconds after an OPEN in which only first frames are sent: other OPENs often follow, and should
get their share of the link."""
DISMISSAL = 5.0
"""Seconds to send the ERROR that dismisses a receiver, before its connection is dropped."""
OPENING = 4.0
"""An OPEN counts as so many of the cheapest messages in the limit on messages; the bytes that it
brings earn more ..."""
REFUSAL = 8.0
"""... and a refusal counts as so many in addition."""
PAGES_AT_ONCE = 16
"""Pages of a catalogue that are sent before other tasks run: 2 ms of work."""
MOST_BACKLOG = 64
"""Messages that may wait to be sent before reading stops."""

logger = logging.getLogger("diffc_server")

_numbers = itertools.count(secrets.randbelow(2**20))


def connection_id() -> str:
    """Return the id of a connection in the log, unique in this process and mostly among others."""
    return f"{next(_numbers):05x}"


class ReceiverConnection:
    """Serves one receiver until it leaves."""

    def __init__(
        self,
        websocket: Paced,
        catalogue: Catalogue,
        pipeline: Pipeline,
        terms: Terms,
        metrics: SenderMetrics | None = None,
        quota: ConnectionQuota | None = None,
    ) -> None:
        """Prepare to serve within the limits of ``quota``; None is without limits."""
        self.quota = quota or unlimited_quota()
        """The client's limits and token."""
        self._metrics = metrics or SenderMetrics()
        self._websocket = websocket
        self._catalogue = catalogue
        self._resolver = Resolver(catalogue, pipeline)
        self._clock = asyncio.get_running_loop().time
        self._session = SenderSession(
            now=self._clock(),
            terms=terms,
            models=pipeline.opener.fingerprints,
            capabilities=CAPABILITIES,
        )
        self._id = connection_id()
        self._requested: dict[int, Requested] = {}
        self._scheduler = FrameScheduler(
            self._session, websocket, self.quota, self._metrics, end=self._end
        )
        self._awoken = asyncio.Event()
        self._wake = self._awoken.set
        self._flushed = asyncio.Event()
        self._draining = self._dismissed = False
        self._streams = 0
        """How many streams were asked for so far."""
        # There is no address if the connection is closed already.
        address = websocket.remote_address or ("unknown", 0)
        self._peer = f"{address[0]}:{address[1]}"

    async def run(self) -> None:
        """Serve until the receiver leaves, breaks the protocol or is silent for too long."""
        with bound_contextvars(connection=self._id):
            await self._run()

    async def _run(self) -> None:
        began = self._clock()
        logger.info("%s connected", self._peer)
        code = CloseCode.NORMAL_CLOSURE
        level, why = logging.INFO, "draining"
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write())
                await self._read(tasks)
        except* (LinkLost, ConnectionClosed) as group:
            why = why if self._draining else str(group.exceptions[0])
        except* Unauthorized as group:
            level, why = logging.WARNING, str(group.exceptions[0])
            code = CloseCode.POLICY_VIOLATION
            self._metrics.refused[Code.UNAUTHORIZED] += 1
        except* SessionError as group:
            level, why = logging.WARNING, str(group.exceptions[0])
            code = CloseCode.PROTOCOL_ERROR
            self._metrics.refused[Code.PROTOCOL] += 1
        except* (OSError, RuntimeError, MemoryError) as group:
            # Resources have run out for a while: the receiver may come back.
            _, faults = group.split(is_passing)
            if faults is not None:
                raise
            level, why = logging.WARNING, "it cannot be served at the moment"
            code = CloseCode.TRY_AGAIN_LATER
        finally:
            self._forget_all("lost")
        await self._say_goodbye(code)
        facts = {
            "seconds": round(self._clock() - began, 3),
            "streams": self._streams,
            "bytes": self._session.sent,
        }
        left = "left" if level == logging.INFO else "dropped"
        logger.log(level, "%s %s: %s", self._peer, left, why, extra=facts)

    def drain(self) -> None:
        """Tell the receiver to come back later, end all streams, and close."""
        with bound_contextvars(connection=self._id):  # the caller has another context
            self._forget_all(Reason.DRAINING.value)
        self._session.go_away()
        self._draining = True
        self._wake()

    def dismiss(self) -> None:
        """Tell the receiver that its token is no longer valid, and close."""
        if not self._dismissed:
            # The receiver may have stopped reading.
            asyncio.get_running_loop().call_later(DISMISSAL, self.abort)
        self._dismissed = True
        self._wake()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._websocket.transport.abort()

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        async for data in self._websocket:
            event = self._session.receive(data, self._clock())
            self._act(event, tasks)
            self._wake()
            while self._session.backlog > MOST_BACKLOG:
                self._flushed.clear()
                await self._flushed.wait()
        # A normal close has to end the other tasks too.
        raise LinkLost("the connection was closed")

    def _act(self, event: Message | None, tasks: asyncio.TaskGroup) -> None:
        match event:
            case List():
                tasks.create_task(self._list(event))
            case Open():
                self._websocket.charge(OPENING)
                if not self.quota.set_streams(self._session.count):
                    self._refuse(event.stream, event.image, _too_many())
                    self._forget(event.stream, "error")
                    return
                now = self._clock()
                grown = partial(self._grown, event.stream)
                requested = self._requested[event.stream] = Requested(event, now, grown)
                self._streams += 1
                self._scheduler.gather(now + GATHER)
                asyncio.get_running_loop().call_later(GATHER, self._wake)
                requested.preparing = tasks.create_task(self._prepare(event, requested))
            case Update():
                self._update(event)
            case Stop():
                self._forget(event.stream, Reason.STOPPED.value)

    def _update(self, event: Update) -> None:
        requested = self._requested.get(event.stream)
        if requested is not None:
            requested.wanted = event
            if requested.outbound is not None:
                requested.outbound.change(event)
                self._scheduler.renew(event.stream)

    def _grown(self, stream: int) -> None:
        self._scheduler.renew(stream)
        self._wake()

    async def _write(self) -> None:
        while True:
            self._awoken.clear()
            if self._dismissed:
                gone = "the token is no longer valid"
                self._session.dismiss(Code.UNAUTHORIZED, gone)
                raise Unauthorized(gone)
            self._scheduler.fill()
            pages = self._session.pages
            messages = self._session.transmit(self._clock())
            if messages:
                if self.quota.paced:
                    self.quota.spend(sum(map(len, messages)))
                await self._send(messages)
                self._flushed.set()
                if pages % PAGES_AT_ONCE == 1:
                    # There may be many pages in a row: let other tasks run in between.
                    await asyncio.sleep(0)
                continue
            if self._draining:
                await self._websocket.close(CloseCode.GOING_AWAY, "draining")
                return
            try:
                async with asyncio.timeout_at(self._next_timeout()):
                    await self._awoken.wait()
            except TimeoutError:
                self._session.heard(self._websocket.heard)
                self._session.handle_timeout(self._clock())

    def _next_timeout(self) -> float | None:
        """Return when there is something to do even if no message arrives."""
        moments = (self._session.next_timeout(), self._scheduler.affordable_at)
        return min((moment for moment in moments if moment is not None), default=None)

    async def _send(self, messages: Sequence[bytes]) -> None:
        await write(self._websocket, messages, patience=self._session.terms.idle)

    async def _say_goodbye(self, code: CloseCode) -> None:
        # Sends a last ERROR, if the session has one; the receiver may be gone, or not reading.
        with contextlib.suppress(ConnectionClosed, LinkLost, TimeoutError):
            async with asyncio.timeout(2.0):
                await self._send(self._session.transmit(self._clock()))
                await self._websocket.close(code)

    async def _list(self, request: List) -> None:
        # A small request with a large answer: wait until the limits, which may be changed
        # meanwhile, allow another.
        while (due := self.quota.ready_at(now := self._clock())) > now:  # noqa: ASYNC110
            await asyncio.sleep(min(due - now, LOOK_AGAIN))
        window = PageWindow(self._websocket)
        if not request.follow:
            listing = await self._catalogue.changes.listing()
            self._websocket.charge(len(listing))
            await self._announce(listing, window)
            return
        async with contextlib.aclosing(self._catalogue.changes.pages(request.mark)) as news:
            async for pages in news:
                # Changes during this are in the next pages, each picture in its last version.
                await self._announce(pages, window)

    async def _announce(self, pages: Iterable[Page], window: PageWindow) -> None:
        """Send pages in bursts, so that pictures do not have to wait for all of them."""
        rest = iter(pages)
        while burst := list(islice(rest, window.size)):
            if self._draining:
                return
            self._session.announce(burst)
            self._wake()
            while self._session.pages:
                self._flushed.clear()
                await self._flushed.wait()
            if not burst[-1].message.last:
                await window.sent()

    async def _prepare(self, request: Open, requested: Requested) -> None:
        try:
            hello = self._session.hello
            assert hello is not None
            shared = await self._resolver.find(request, hello, requested.wake, self.quota)
        except RequestRefused as error:
            requested.preparing = None
            self._websocket.charge(REFUSAL)
            # A bad picture was logged once, when it was opened for all receivers.
            known = error.code in (Code.UNREADABLE_IMAGE, Code.INTERNAL)
            level = logging.DEBUG if known else logging.WARNING
            facts = {"stream": request.stream, "image": request.image}
            logger.log(level, "%s asked for %s: %s", self._peer, request.image, error, extra=facts)
            if request.stream in self._session.streams:
                self._refuse(request.stream, request.image, error)
            self._forget(request.stream, "error")
        else:
            requested.preparing = None
            if request.stream in self._session.streams:
                self._begin(request, requested, shared)
            else:  # the receiver stopped it meanwhile
                shared.leave(requested.wake)
        self._wake()

    def _begin(self, request: Open, requested: Requested, shared: SharedStream) -> None:
        """Begin to send a stream that has been found."""
        requested.outbound = outbound = OutboundStream(
            request.stream,
            request.image,
            shared,
            requested.wanted,
            requested.asked,
            self.quota.account,
        )
        self._scheduler.add(outbound)
        self._metrics.streams += 1
        facts = _about(outbound)
        logger.info("%s gets %s from %d", self._peer, request.image, request.start, extra=facts)

    def _refuse(self, stream: int, image: str, error: RequestRefused) -> None:
        message = f"{image}: {error}"
        self._session.refuse(
            stream,
            error.code,
            message,
            retry=error.retry,
            model=error.model,
            after=error.after,
        )
        self._metrics.refused[error.code] += 1

    def _end(self, outbound: OutboundStream, why: Reason | RequestRefused) -> None:
        """End a stream that is complete, has reached its target, or is refused."""
        if isinstance(why, RequestRefused):
            self._refuse(outbound.stream, outbound.image, why)
        else:
            self._session.end(outbound.stream, why)
        self._forget(outbound.stream, why.value if isinstance(why, Reason) else "error")

    def _forget(self, stream: int, why: str) -> None:
        requested = self._requested.pop(stream, None)
        if requested is not None and requested.preparing is not None:
            requested.preparing.cancel()  # its stream is not wanted any more
        if requested is not None and requested.outbound is not None:
            outbound = requested.outbound
            self._scheduler.remove(stream)
            outbound.shared.leave(requested.wake)
            self._metrics.streams -= 1
            self._metrics.ended[why] += 1
            seconds = round(self._clock() - outbound.asked, 3)
            facts = {**_about(outbound), "bytes": outbound.sent, "seconds": seconds, "end": why}
            logger.info("%s has %s: %s", self._peer, outbound.image, why, extra=facts)
        self.quota.set_streams(self._session.count)

    def _forget_all(self, why: str) -> None:
        for stream in tuple(self._requested):
            self._forget(stream, why)


def _about(outbound: OutboundStream) -> dict[str, object]:
    """Return the fields of every log record about a stream."""
    return {"stream": outbound.stream, "image": outbound.image}


def _too_many() -> RequestRefused:
    return RequestRefused(Code.BUSY, "too many streams on all your connections", retry=True)
