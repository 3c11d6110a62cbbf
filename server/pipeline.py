"""From files to growing streams: one encode per picture and model, however many receivers ask.

    receivers --want()--> SharedStream --one piece at a time--> worker threads
        ^                      |
        `------ wake() --------'

A stream is pulled only as far as somebody wants it plus a look-ahead, one piece per job, so that
pictures take turns on the workers and nothing is computed that nobody asked for.  The bytes stay
when the receivers have gone; what computes them (an encoder holds the picture several times over)
is dropped when it has been idle and is made again when more is wanted: it then goes on from the
bytes that are there.

All state is touched on the event loop only; what runs on workers is opening a file and computing
the next piece.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from diffc_stream.codec.curve import Curve
from diffc_stream.errors import PictureError, PrefixMismatch, RequestRefused, StreamError
from diffc_stream.session import MAX_STREAM, Code, PrefixHash

from .encoding import Opener, Source, is_stream

LOOK_AHEAD = 4096
"""Bytes computed beyond what is wanted, so that a link does not wait for the encoder."""

logger = logging.getLogger("diffc_server")

Wake = Callable[[], None]


class SharedStream:
    """The stream of one picture by one model, as far as it has been computed."""

    def __init__(
        self,
        path: Path,
        model: str | None,
        opener: Opener,
        workers: ThreadPoolExecutor,
        admit: Callable[[SharedStream], None],
    ) -> None:
        """Prepare a stream; ``admit`` is asked, once its size is known, whether there is room."""
        self.pixels: int | None = None
        """Of the picture, once it has been opened."""
        self.model = model
        """Fingerprint of the model that it takes; None until a stream from disk has been opened."""
        self.complete = False
        """There is no more than has been computed."""
        self.failure: RequestRefused | None = None
        """Why there will never be more."""
        self.curve = Curve()
        """What its bytes give."""
        self.light = is_stream(path)
        """Being awake costs it next to nothing."""
        self._path = path
        self._opener = opener
        self._workers = workers
        self._admit = admit
        self._data = bytearray()
        self._wanted = 0
        self._source: Source | None = None
        self._users: list[Wake] = []
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._data)

    @property
    def idle(self) -> bool:
        """Nobody uses it."""
        return not self._users

    @property
    def awake(self) -> bool:
        """It holds on to what computes it."""
        return self._source is not None

    def join(self, wake: Wake) -> None:
        """Have ``wake`` called, on the event loop, whenever something has changed."""
        self._users.append(wake)

    def leave(self, wake: Wake) -> None:
        """Undo one join()."""
        self._users.remove(wake)

    def want(self, length: int) -> None:
        """Ask for the first ``length`` bytes; returns at once."""
        self._wanted = max(self._wanted, min(length, MAX_STREAM))
        if self._task is None and not self._satisfied(self._wanted):
            self._task = asyncio.get_running_loop().create_task(self._grow())

    async def reach(self, length: int) -> None:
        """Wait until the picture is open and ``length`` bytes are there, or all there are.

        Raises what :attr:`failure` holds, if that comes first.
        """
        changed = asyncio.Event()
        self.join(changed.set)
        try:
            while not self._satisfied(length):
                self.want(length)
                changed.clear()
                await changed.wait()
            if self.failure is not None:
                raise self.failure
        finally:
            self.leave(changed.set)

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to ``end``, as far as there are any."""
        return bytes(self._data[start:end])

    def prefix(self, length: int) -> str | None:
        """Return the hash of the first ``length`` bytes; None if there are fewer."""
        return str(PrefixHash(self.read(0, length))) if length <= len(self._data) else None

    def rest(self) -> None:
        """Let go of what computes the stream; the bytes stay."""
        if self._task is not None:
            self._task.cancel()
        self._source = None

    def _satisfied(self, length: int) -> bool:
        if self.failure is not None:
            return True
        return self.pixels is not None and (self.complete or len(self) >= length)

    async def _grow(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            if self._source is None:
                held = bytes(self._data)
                self._source = await loop.run_in_executor(
                    self._workers, self._opener.open, self._path, self.model, held
                )
                self.pixels, self.model = self._source.pixels, self._source.model
                self._admit(self)
            while not self._satisfied(self._wanted):
                piece = await loop.run_in_executor(self._workers, next, self._source.pieces, None)
                self._take(piece)
                self._notify()
        except RequestRefused as error:
            self.failure, self._source = error, None
        except PrefixMismatch as error:
            # Some of it may have been sent: what is encoded anew is another stream's business.
            logger.warning("cannot go on with %s: %s", self._path.name, error)
            self._fail(Code.INTERNAL, "it cannot be continued as it began")
        except (PictureError, StreamError) as error:
            logger.warning("cannot serve %s: %s", self._path.name, error)
            self._fail(Code.UNREADABLE_IMAGE, "it cannot be read as a picture")
        except Exception as error:
            # Whatever went wrong in there, it is this picture's problem and not the daemon's.
            logger.exception("encoding %s failed", self._path.name)
            self._fail(Code.INTERNAL, f"encoding it failed: {type(error).__name__}")
        finally:
            self._task = None
            self._notify()

    def _take(self, piece: bytes | None) -> None:
        if piece is None:
            self.complete = True
            self._source = None
            return
        self._data += piece
        self.curve.feed(piece)
        if len(self._data) >= MAX_STREAM:
            del self._data[MAX_STREAM:]
            self._take(None)

    def _fail(self, code: str, message: str) -> None:
        self.failure = RequestRefused(code, message)
        self._source = None

    def _notify(self) -> None:
        for wake in tuple(self._users):
            wake()


class Pipeline:
    """Streams of many pictures, and the worker threads that compute them."""

    def __init__(
        self,
        opener: Opener,
        *,
        encoders: int = 1,
        keep: int = 256,
        awake: int = 64,
        pixels: int = 50_000_000,
    ) -> None:
        """Compute on ``encoders`` threads.

        The bytes of up to ``keep`` streams are held, and what computes up to ``awake`` of them, if
        their pictures have no more than ``pixels`` together: some 60 bytes are held for each.
        Those that nobody uses make way for others; if all are in use, a request is refused.
        Streams from disk (.dfc) need next to nothing to be awake, and do not count there.
        """
        self.opener = opener
        self._workers = ThreadPoolExecutor(encoders, thread_name_prefix="encoder")
        self._keep = keep
        self._awake = awake
        self._pixels = pixels
        self._streams: OrderedDict[tuple[object, ...], SharedStream] = OrderedDict()

    def stream(self, path: Path, model: str | None = None) -> SharedStream:
        """Return the stream of a file, one and the same for all who ask.

        A picture is encoded with ``model``, None being the preferred one.
        Raises RequestRefused if too many pictures are in use, or if the file has just gone.
        """
        try:
            stat = path.stat()
        except OSError as error:
            raise RequestRefused(Code.UNKNOWN_IMAGE, "there is no such picture") from error
        model = None if is_stream(path) else model or self.opener.fingerprints[0]
        key = (path, model, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        stream = self._streams.get(key)
        if stream is None or stream.failure is not None:
            stream = self._streams[key] = SharedStream(
                path, model, self.opener, self._workers, self._admit
            )
        self._streams.move_to_end(key)
        try:
            self._make_room(stream)
        except RequestRefused:
            if stream.idle:
                del self._streams[key]
            raise
        return stream

    def close(self) -> None:
        """Compute no more; pieces being computed are finished and dropped."""
        for stream in self._streams.values():
            stream.rest()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _make_room(self, newest: SharedStream) -> None:
        """Let go of what is idle, oldest first.  Raises RequestRefused if that is not enough."""
        for key, stream in tuple(self._streams.items()):
            if stream is newest or not stream.idle:
                continue
            if self._crowded_beside(newest):
                stream.rest()
            if len(self._streams) > self._keep:
                stream.rest()
                del self._streams[key]
        crowded = newest.idle and not newest.light and self._crowded_beside(newest)
        if crowded or len(self._streams) > self._keep:
            raise _crowded()

    def _admit(self, opened: SharedStream) -> None:
        """Raise RequestRefused if a picture turns out to be too large beside those in use.

        What is idle makes way for it, oldest first.
        """
        for stream in tuple(self._streams.values()):
            if stream is not opened and stream.idle and self._too_large_beside(opened):
                stream.rest()
        if self._too_large_beside(opened):
            raise _crowded()

    def _crowded_beside(self, newest: SharedStream) -> bool:
        beside = self._awake_beside(newest)
        return len(beside) >= self._awake or _pixels(beside) >= self._pixels

    def _too_large_beside(self, opened: SharedStream) -> bool:
        beside = self._awake_beside(opened)
        return not opened.light and bool(beside) and _pixels([*beside, opened]) > self._pixels

    def _awake_beside(self, newest: SharedStream) -> list[SharedStream]:
        others = (stream for stream in self._streams.values() if stream is not newest)
        return [s for s in others if not s.light and not s.complete and (s.awake or not s.idle)]


def _pixels(streams: Iterable[SharedStream]) -> int:
    return sum(stream.pixels or 0 for stream in streams)


def _crowded() -> RequestRefused:
    return RequestRefused(Code.BUSY, "too many pictures are being sent", retry=True)
