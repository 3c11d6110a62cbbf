"""A growing stream, which all its receivers share.

        receivers --want()--> SharedStream <-- store: bytes computed before, by any sender
        ^                    |    ^
        `------ wake() ------'    `-- encoder: one piece at a time, on a worker thread

It is computed only as far as receivers want it plus a look-ahead, one piece per job, so that
pictures take turns on the workers.  An encoder is made only if more is wanted than the store has:
it continues from there, in a slot (:mod:`.slots`).  When the last receiver has left, the present
piece is the last, and new bytes go to the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from diffc_stream.container import Header
from diffc_stream.errors import PrefixMismatch, RequestRefused
from diffc_stream.opening import Identity
from diffc_stream.session import MAX_STREAM, Code, PrefixHash

from ..cache.persister import Persister
from ..cache.store import Stored
from ..catalogue.file import File
from ..ops.metrics import SenderMetrics
from ..threads.pools import WorkerPools
from .failures import refusal
from .hulled_curve import HulledCurve
from .slots import EncoderSlots
from .source import Opener, Source, is_stream
from .subscribers import Account, Subscribers, Wake

LOOK_AHEAD = 4096
"""Bytes computed beyond the wanted ones, so that links do not wait for the encoder."""
REST = 60.0
"""Seconds without subscribers after which a stream's encoder is dropped."""
_NOTHING = -1
"""Less than 0 wanted bytes, which do not even open the picture."""

Hold = Callable[[int], None]
"""Counts bytes that a stream has grown by.  Raises RequestRefused if there is no room for more."""
Result = TypeVar("Result")
Given = TypeVarTuple("Given")


class SharedStream:
    """The stream of one picture by one model, as far as it has been computed."""

    def __init__(
        self,
        file: File,
        model: str | None,
        opener: Opener,
        *,
        hold: Hold,
        workers: WorkerPools,
        slots: EncoderSlots,
        persister: Persister | None,
        metrics: SenderMetrics,
    ) -> None:
        """Prepare the stream of a file; ``hold`` is called before and after it grows."""
        self.pixels: int | None = None
        """The picture's number of pixels, once it has been opened."""
        self.model = model
        """Fingerprint of its model; None until a .dfc file has been opened."""
        self.complete = False
        """Whether the whole stream has been computed."""
        self.failure: RequestRefused | None = None
        """Why it cannot grow; with ``retry`` it holds for the present subscribers only."""
        self.curve = HulledCurve()
        """The quality at its bytes."""
        self.light = is_stream(file.path)
        """Whether it is a .dfc file, which needs no encoder and is not stored."""
        self.spare_since: float | None = None
        """When the last wanted piece was computed; None while one is being computed."""
        self._file = file
        self._opener = opener
        self._hold = hold
        self._workers = workers
        self._slots = slots
        self._persister = persister
        self._metrics = metrics
        self._data = bytearray()
        self._listeners = Subscribers()
        self._wanted = self._claimed = _NOTHING
        """How many bytes are wanted to be sent, and how many to check claims."""
        self._source: Source | None = None
        self._task: asyncio.Task[None] | None = None
        self._in_line = False
        """Whether it waits for a slot."""
        self._computing = False
        """Whether an encoder computes a piece of it."""
        self._unpaid = False
        """Whether it waits until an account may be charged."""
        self._spent = 0.0
        """Seconds of an encoder since the first of the present subscribers."""
        self._closed = False
        self._resting: asyncio.TimerHandle | None = None
        """Drops the encoder after REST seconds without subscribers."""

    def __len__(self) -> int:
        return len(self._data)

    @property
    def idle(self) -> bool:
        """Whether it has no subscribers."""
        return not self._listeners

    @property
    def awake(self) -> bool:
        """Whether it has a source: an encoder or an open stream file."""
        return self._source is not None

    @property
    def busy(self) -> bool:
        """Whether it is being computed or saved."""
        return self._task is not None or self.saving is not None

    @property
    def saving(self) -> asyncio.Task[None] | None:
        """The task that saves it now, if there is one."""
        return self._persister.task if self._persister else None

    @property
    def weight(self) -> int:
        """Pixels that an encoder would hold; 0 while they are not known."""
        return self.pixels or 0

    def join(self, wake: Wake, account: Account | None = None) -> None:
        """Call ``wake``, on the event loop, whenever something has changed.

        ``account``, if given, is charged its share of the encoder time until leave().
        """
        if self.failure is not None and self.failure.retry:
            self.failure = None  # a new request is a new try
        self._stay()
        self._listeners.join(wake, account)

    def leave(self, wake: Wake) -> None:
        """Undo one join().  After the last one, computing stops, and the stream is saved."""
        self._listeners.leave(wake)
        if not self.idle:
            return
        self._wanted = self._claimed = _NOTHING
        if self._in_line and self._task is not None:
            self._task.cancel()
        if self._spent:
            self._slots.record_duration(self._spent)
            self._spent = 0.0
        self._save()
        self._rest_later()
        self._slots.serve_queue()

    def bill(self, wake: Wake, account: Account | None) -> None:
        """Replace the account of a subscriber."""
        self._listeners.bill(wake, account)

    def want(self, length: int, *, claimed: bool = False) -> None:
        """Ask for the first ``length`` bytes; returns at once.  The caller has to have joined.

        ``claimed`` says that the receiver claims to hold these bytes and has yet to prove it, so
        other work goes first.
        """
        length = min(length, MAX_STREAM)
        if claimed:
            self._claimed = max(self._claimed, length)
        else:
            self._wanted = max(self._wanted, length)
            if self._computing and self._due(self._wanted):
                self._workers.encoders.need(self)
        self._go_on()

    async def reach(
        self, length: int, account: Account | None = None, *, claimed: bool = False
    ) -> None:
        """Wait until the picture is open, and ``length`` bytes or the whole stream are there.

        ``claimed`` is as in :meth:`want`.  Raises the RequestRefused of :meth:`refusal` if that
        comes first.
        """
        changed = asyncio.Event()
        self.join(changed.set, account)
        try:
            while self.pixels is None or not (self.complete or len(self) >= length):
                if (refusal := self.refusal(account)) is not None:
                    raise refusal
                # A little at a time, so that computing stops with the last subscriber.
                self.want(min(length, len(self) + LOOK_AHEAD), claimed=claimed)
                changed.clear()
                await changed.wait()
        finally:
            self.leave(changed.set)

    def refusal(self, account: Account | None = None) -> RequestRefused | None:
        """Return why no more is computed for ``account`` at the moment; None if it is."""
        if self.failure is None and self._unpaid and account is not None:
            wait = account.wait()
            if wait > 0.0:
                message = "your limit of encoder time is used up for now"
                return RequestRefused(Code.BUSY, message, retry=True, after=wait)
        return self.failure

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to ``end``, as far as they are there."""
        return bytes(self._data[start:end])

    def prefix(self, length: int) -> str | None:
        """Return the hash of the first ``length`` bytes; None while there are fewer."""
        return str(PrefixHash(self.read(0, length))) if length <= len(self._data) else None

    def rest(self) -> None:
        """Drop the source of the stream; the bytes stay."""
        self._stay()
        self._source = None

    def close(self) -> None:
        """Stop computing and saving."""
        self._closed = True
        self._stay()
        if self._task is not None:
            self._task.cancel()
        if self._persister is not None:
            self._persister.close()
        self.rest()

    def _lacks(self) -> bool:
        """Tell whether a subscriber waits for more than is there."""
        if self._closed or self.idle or self.failure is not None or self.complete:
            return False
        return self._due(max(self._wanted, self._claimed))

    def _due(self, length: int) -> bool:
        """Tell whether ``length`` wanted bytes take computing."""
        return length > len(self) or (self.pixels is None and length > _NOTHING)

    def _go_on(self) -> None:
        if self._task is None and self._lacks():
            self.spare_since = None
            self._task = asyncio.get_running_loop().create_task(self._grow())

    async def _grow(self) -> None:
        """Compute until no subscriber waits for more."""
        try:
            if self._source is None and self._persister is not None:
                await self._recall(self._persister)
            while self._lacks():
                self._hold(0)
                self._unpaid = not self.light and self._listeners.wait() > 0.0
                if self._unpaid:
                    await self._pause()
                elif self._source is None:
                    await self._open()
                else:
                    await self._step(self._source)
        except asyncio.CancelledError:
            # Cancelled in the queue, because it has no subscribers; or else the daemon ends.
            self._closed = self._closed or not self._in_line
        except Exception as error:
            if isinstance(error, PrefixMismatch) and self._persister is not None:
                await self._persister.delete(bytes(self._data))
            self._fail(error)
        finally:
            self._task, self._in_line, self._unpaid = None, False, False
            self._settle()

    async def _pause(self) -> None:
        """Wait until an account can pay, or a subscriber joins or leaves; frees the slot."""
        self.spare_since = asyncio.get_running_loop().time()
        self._workers.encoders.rest(self)
        self._listeners.notify()
        self._slots.serve_queue()
        await self._listeners.changed(within=self._listeners.wait())
        self.spare_since = None

    def _settle(self) -> None:
        """Handle the end of computing for now."""
        self.spare_since = asyncio.get_running_loop().time()
        self._workers.encoders.rest(self)
        if self._source is None:
            self._slots.release(self)
        if self.idle or self.complete:
            self._save()
        self._rest_later()
        self._listeners.notify()
        self._go_on()  # subscribers may have joined meanwhile
        self._slots.serve_queue()

    def _rest_later(self) -> None:
        """Schedule dropping the source if the stream has no subscribers."""
        if self.idle and self.awake and self._task is None and not self._closed:
            self._stay()
            self._resting = asyncio.get_running_loop().call_later(REST, self._rest)

    def _stay(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    def _rest(self) -> None:
        """Drop the source, because no subscriber came back."""
        self.rest()
        self._slots.release(self)

    async def _recall(self, persister: Persister) -> None:
        """Take the bytes that the store has beyond those that are here."""
        stored = await persister.recall(bytes(self._data))
        if stored is None:
            return
        if self.pixels is None:
            header, _ = Header.parse(stored.data)
            self.pixels = header.width * header.height
        self._take(stored.data[len(self) :])
        if stored.complete:
            self._end()
        self._listeners.notify()

    async def _open(self) -> None:
        """Open the source of the stream; if it is an encoder, after getting a slot."""
        if not self.light:
            self._in_line = True
            self._workers.encoders.rest(self)
            await self._slots.acquire(self)
            self._in_line = False
        data = bytes(self._data)
        source = await self._on(self._opener.open, self._file.path, self.model, data)
        self._file.check(source.version or await self._version())
        self.pixels, self.model = source.pixels, source.model
        if not self.light and not self._slots.can_keep(self):
            self._slots.release(self)  # queue again, now that its size is known
            return
        self._source = source
        self._listeners.notify()

    async def _step(self, source: Source) -> None:
        """Compute the next piece."""
        piece = await self._on(_next, source)
        self._metrics.steps += not self.light
        if piece is None:
            self._end()
        else:
            self._take(piece)
        if self._persister is not None and self._persister.due:
            self._save()
        self._listeners.notify()

    async def _on(self, function: Callable[[*Given], Result], *arguments: *Given) -> Result:
        """Run a function on a thread, and charge its time to the subscribers."""
        if self.light:
            return await self._workers.read(function, *arguments)
        payers, encoders = self._listeners.payers(), self._workers.encoders
        (encoders.need if self._due(self._wanted) else encoders.rest)(self)
        self._computing = True
        try:
            result, seconds = await encoders.compute(self, function, *arguments)
        finally:
            self._computing = False
        self._spent += seconds
        self._metrics.encoder_seconds += seconds
        for account in payers:
            if account is not None:
                account.charge(seconds / len(payers))
        return result

    async def _version(self) -> Identity:
        """Return the present version of the file.  Raises RequestRefused if it is missing."""
        found = await self._workers.read(File.at, self._file.path)
        return found.version

    def _take(self, piece: bytes) -> None:
        piece = piece[: MAX_STREAM - len(self)]
        self._data += piece
        self._hold(len(piece))
        self.curve.feed(piece)
        if len(self) >= MAX_STREAM:
            self._end()

    def _end(self) -> None:
        self.complete = True
        self._source = None

    def _save(self) -> None:
        if self._persister is not None and self._data:
            self._persister.save(Stored(data=bytes(self._data), complete=self.complete))

    def _fail(self, error: Exception) -> None:
        self._source = None
        self.failure = refusal(self._file.path.name, error)


def _next(source: Source) -> bytes | None:
    return next(source.pieces, None)
