"""One receiver's connection: a WebSocket joined to a session and to the pipeline.

Two tasks share the session, both on the event loop.  One reads: it hands every message to the
session and acts on what comes out.  The other writes: it alone sends, one frame at a time, taking
the streams in turn, and so it is also the place where a slow link slows everything behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from dataclasses import dataclass

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from diffc_stream.errors import (
    LinkLost,
    RequestRefused,
    SessionError,
)
from diffc_stream.session import (
    MAX_STREAM,
    Code,
    List,
    Message,
    Open,
    Reason,
    SenderSession,
    Stop,
    Terms,
)

from .catalogue import Catalogue
from .encoding import is_stream
from .pipeline import LOOK_AHEAD, Pipeline, SharedStream

FIRST_FRAME = 256
"""Bytes: the first picture should not wait for more than it needs."""
FRAME = 1024
"""Bytes of payload; the largest frame, and so the most that is sent after a STOP was read."""
SMALL_FRAME = 256
"""Bytes; smaller frames, the first and the last aside, cost too much overhead to be sent, and later
on so do frames of less than a quarter of what went before: they would hardly show."""
MOST_BACKLOG = 64
"""Messages waiting to be sent beyond which nothing more is read."""

logger = logging.getLogger("diffc_server")


@dataclass(slots=True, kw_only=True)
class _Outgoing:
    """A stream on its way out."""

    stream: int
    image: str
    shared: SharedStream
    limit: int
    """Where it ends, at the latest, counted from the start of the stream."""


class Conversation:
    """Serves one receiver until it leaves."""

    def __init__(
        self,
        websocket: ServerConnection,
        catalogue: Catalogue,
        pipeline: Pipeline,
        terms: Terms,
    ) -> None:
        self._websocket = websocket
        self._catalogue = catalogue
        self._pipeline = pipeline
        self._clock = asyncio.get_running_loop().time
        self._session = SenderSession(
            now=self._clock(), terms=terms, models=pipeline.opener.fingerprints
        )
        self._turns: deque[_Outgoing] = deque()
        self._awoken = asyncio.Event()
        self._wake = self._awoken.set
        self._flushed = asyncio.Event()
        self._draining = False
        # Gone already, perhaps.
        address = websocket.remote_address or ("somebody", 0)
        self._peer = f"{address[0]}:{address[1]}"

    async def run(self) -> None:
        """Serve until the receiver leaves, breaks the protocol or falls silent."""
        logger.info("%s connected", self._peer)
        code = CloseCode.NORMAL_CLOSURE
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write())
                await self._read(tasks)
        except* (LinkLost, ConnectionClosed) as group:
            logger.info("%s left: %s", self._peer, group.exceptions[0])
        except* SessionError as group:
            logger.warning("%s dropped: %s", self._peer, group.exceptions[0])
            code = CloseCode.PROTOCOL_ERROR
        finally:
            for outgoing in tuple(self._turns):
                self._forget(outgoing)
        await self._say_goodbye(code)

    def drain(self) -> None:
        """End all streams, tell the receiver so, and close."""
        for outgoing in tuple(self._turns):
            self._forget(outgoing)
        self._session.drain()
        self._draining = True
        self._wake()

    def abort(self) -> None:
        """Drop the connection without a word."""
        self._websocket.transport.abort()

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        async for data in self._websocket:
            event = self._session.receive(data, self._clock())
            self._act(event, tasks)
            self._wake()
            while self._session.backlog > MOST_BACKLOG:
                self._flushed.clear()
                await self._flushed.wait()
        # A normal end too is the end of all tasks here.
        raise LinkLost("the connection was closed")

    def _act(self, event: Message | None, tasks: asyncio.TaskGroup) -> None:
        match event:
            case List():
                tasks.create_task(self._list())
            case Open():
                tasks.create_task(self._prepare(event))
            case Stop():
                for outgoing in tuple(self._turns):
                    if outgoing.stream == event.stream:
                        self._forget(outgoing)

    async def _write(self) -> None:
        while True:
            self._awoken.clear()
            self._next_frame()
            messages = self._session.transmit(self._clock())
            for data in messages:
                await self._send(data)
            self._flushed.set()
            if messages:
                continue
            if self._draining:
                await self._websocket.close(CloseCode.GOING_AWAY, "draining")
                return
            try:
                async with asyncio.timeout_at(self._session.next_timeout()):
                    await self._awoken.wait()
            except TimeoutError:
                self._session.handle_timeout(self._clock())

    async def _send(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(self._session.terms.idle):
                await self._websocket.send(data)
        except TimeoutError:
            raise LinkLost("the receiver does not take what it asked for") from None

    async def _say_goodbye(self, code: CloseCode) -> None:
        # A last ERROR, if the session has one; the receiver may be gone, or not reading.
        with contextlib.suppress(ConnectionClosed, LinkLost, TimeoutError):
            async with asyncio.timeout(2.0):
                for data in self._session.transmit(self._clock()):
                    await self._send(data)
                await self._websocket.close(code)

    async def _list(self) -> None:
        names = await asyncio.to_thread(self._catalogue.names)
        self._session.catalogue(names)
        self._wake()

    async def _prepare(self, request: Open) -> None:
        try:
            outgoing = await self._outgoing(request)
        except RequestRefused as error:
            # What is wrong with a picture was logged when it was opened, once for all receivers.
            known = error.code in (Code.UNREADABLE_IMAGE, Code.INTERNAL)
            level = logging.DEBUG if known else logging.WARNING
            logger.log(level, "%s asked for %s: %s", self._peer, request.image, error)
            if request.stream in self._session.streams:
                self._refuse(request.stream, request.image, error)
        else:
            if request.stream in self._session.streams:
                self._turns.append(outgoing)
                logger.info("%s gets %s from %d", self._peer, request.image, request.start)
            else:  # stopped before it began
                outgoing.shared.leave(self._wake)
        self._wake()

    async def _outgoing(self, request: Open) -> _Outgoing:
        path = await asyncio.to_thread(self._catalogue.path, request.image)
        model = None if is_stream(path) else self._model(request)
        shared = self._pipeline.stream(path, model)
        shared.join(self._wake)
        try:
            await shared.reach(request.start)
            assert shared.model is not None
            self._check_model(shared.model)
            if request.start > len(shared) or shared.checksum(request.start) != request.checksum:
                raise RequestRefused(
                    Code.PREFIX_MISMATCH,
                    f"the first {request.start} bytes are not as held: begin anew without them",
                )
        except BaseException:
            shared.leave(self._wake)
            raise
        assert shared.pixels is not None
        limit = MAX_STREAM
        if request.bytes is not None:
            limit = request.bytes
        if request.bpp is not None:
            limit = min(limit, int(request.bpp * shared.pixels / 8))
        return _Outgoing(stream=request.stream, image=request.image, shared=shared, limit=limit)

    def _model(self, request: Open) -> str:
        """Return the model to encode a picture with.  Raises RequestRefused if there is none."""
        ours = self._pipeline.opener.fingerprints
        if request.model is None:
            chosen = next(filter(self._decodes, ours), ours[0])
            self._check_model(chosen)
            return chosen
        # The bytes held go on with the model that they were made with, preferred or not.
        self._check_model(request.model)
        if request.model not in ours:
            raise RequestRefused(
                Code.PREFIX_MISMATCH,
                f"the bytes held are of the model {request.model}, which is not here: "
                "begin anew without them",
            )
        return request.model

    def _check_model(self, model: str) -> None:
        """Raise RequestRefused if the receiver could do nothing with a stream of ``model``."""
        if not self._decodes(model):
            raise RequestRefused(
                Code.UNKNOWN_MODEL,
                f"it needs the model {model}, which you do not have: get its file and ask again",
                model=model,
            )

    def _decodes(self, model: str) -> bool:
        """Tell whether the receiver has ``model``, or at least does not say that it lacks it."""
        hello = self._session.hello
        assert hello is not None
        return not hello.models or model in hello.models

    def _next_frame(self) -> None:
        """Move one frame of the next stream that has one into the session."""
        for _ in range(len(self._turns)):
            outgoing = self._turns[0]
            self._turns.rotate(-1)
            if self._advance(outgoing):
                return

    def _advance(self, outgoing: _Outgoing) -> bool:
        """Send a frame of this stream, or end it; return False if there is nothing to do yet."""
        session, shared = self._session, outgoing.shared
        position = session.position(outgoing.stream)
        if shared.complete and position >= len(shared):
            return self._end(outgoing, Reason.COMPLETE)
        if position >= outgoing.limit:
            return self._end(outgoing, Reason.TARGET)
        if shared.failure is not None and position >= len(shared):
            self._refuse(outgoing.stream, outgoing.image, shared.failure)
            self._forget(outgoing)
            return True
        end = min(len(shared), outgoing.limit)
        shared.want(min(outgoing.limit, position + session.window + LOOK_AHEAD))
        available = end - position
        last = end == outgoing.limit or shared.complete or shared.failure is not None
        least = min(FRAME, max(SMALL_FRAME, position // 4)) if position and not last else 1
        if available < least:
            return False
        size = _share(available, FRAME if position else FIRST_FRAME)
        # A sliver of credit is not worth a frame: there will soon be more.
        if session.credit < min(size, session.window // 8):
            return False
        session.send(outgoing.stream, shared.read(position, min(size, session.credit)))
        return True

    def _refuse(self, stream: int, image: str, error: RequestRefused) -> None:
        message = f"{image}: {error}"
        self._session.refuse(stream, error.code, message, retry=error.retry, model=error.model)

    def _end(self, outgoing: _Outgoing, reason: Reason) -> bool:
        self._session.end(outgoing.stream, reason)
        logger.info("%s has %s: %s", self._peer, outgoing.image, reason.value)
        self._forget(outgoing)
        return True

    def _forget(self, outgoing: _Outgoing) -> None:
        self._turns.remove(outgoing)
        outgoing.shared.leave(self._wake)


def _share(available: int, most: int) -> int:
    """Return how many of ``available`` bytes the next of equal frames of ``most`` bytes gets."""
    frames = max(1, -(-available // most))
    return -(-available // frames)
