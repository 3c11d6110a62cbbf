"""A growing stream, which all its receivers share.

        receivers --want()--> SharedStream <-- store: bytes computed before, by any sender
        ^                    |    ^
        `------ wake() ------'    `-- encoder: one piece at a time, on a worker thread

It is computed only as far as receivers want it plus a look-ahead, one piece per job, so that
pictures take turns on the workers.  An encoder is made only if more is wanted than the store has:
it continues from there, in a slot (:mod:`.slots`) and with a lease: while another sender encodes
the picture, it takes what that one stores (:mod:`.sharing`).  When the last receiver has left, the
present piece is the last, and new bytes go to the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from diffc_stream.errors import PrefixMismatch, RequestRefused
from diffc_stream.opening import Identity
from diffc_stream.session import MAX_STREAM, Code

from ..cache.persister import Persister
from ..cache.store import Stored
from ..catalogue.file import File
from ..ops.metrics import SenderMetrics
from ..threads.pools import WorkerPools
from .charged_work import ChargedWork
from .failures import refusal
from .growing_bytes import GrowingBytes, Hold
from .predecessor import Predecessor
from .sharing import Sharing
from .slots import EncoderSlots
from .source import Opener, Source, is_stream
from .subscribers import Account, Subscribers, Wake

LOOK_AHEAD = 4096
"""Bytes computed beyond the wanted ones, so that links do not wait for the encoder."""
REST = 60.0
"""Seconds without subscribers after which a stream's encoder is dropped."""
_NOTHING = -1
"""Less than 0 wanted bytes, which do not even open the picture."""

Result = TypeVar("Result")
Given = TypeVarTuple("Given")


class SharedStream(GrowingBytes):
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
        persister: Persister,
        metrics: SenderMetrics,
        engine: str = "",
        before: Predecessor | None = None,
    ) -> None:
        """Prepare the stream of a file.

        ``hold`` is called before and after it grows; ``engine`` is the mark of its encoder.  It
        starts from the stream ``before``, if there is one.
        """
        super().__init__(hold)
        self.model = model
        """Fingerprint of its model; None until a .dfc file has been opened."""
        self.failure: RequestRefused | None = None
        """Why it cannot grow; with ``retry`` it holds for the present subscribers only."""
        self.light = is_stream(file.path)
        """Whether it is a .dfc file, which needs no encoder and is not stored."""
        self.spare_since: float | None = None
        """When the last wanted piece was computed; None while one is being computed."""
        self._file = file
        self._opener, self._before = opener, before
        self._workers = workers
        self._slots = slots
        self._sharing = Sharing(self, persister, engine)
        self._metrics = metrics
        self._listeners = Subscribers()
        self._work = ChargedWork(self, self._listeners, workers, metrics)
        self._wanted = self._claimed = _NOTHING
        """How many bytes are wanted to be sent, and how many to check claims."""
        self._source: Source | None = None
        self._task: asyncio.Task[None] | None = None
        self._in_line = False
        """Whether it waits for a slot."""
        self._unpaid = False
        """Whether it waits until an account may be charged."""
        self._closed = False
        self._resting: asyncio.TimerHandle | None = None
        """Drops the encoder after REST seconds without subscribers."""

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
        return self._sharing.task

    @property
    def maker(self) -> str:
        """Which encoders will have made it; the entity tag follows from that."""
        return self._sharing.maker

    @property
    def weight(self) -> int:
        """Pixels that an encoder would hold; 0 while they are not known."""
        return self.pixels or 0

    async def tag(self) -> str:
        """Return the strong entity tag, equal for all senders whose encoders make the same bytes.

        Raises RequestRefused if the picture's file cannot be read.
        """
        try:
            return await self._sharing.tag()
        except OSError as error:
            raise refusal(self._file.path.name, error) from error

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
        if self._waits and self._task is not None:
            self._task.cancel()
        if self._work.spent:
            self._slots.record_duration(self._work.spent)
            self._work.spent = 0.0
        if self._task is None:
            self._sharing.release()
        else:
            self._sharing.save()
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
            if self._work.running and self._due(self._wanted):
                self._work.need()
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

    def rest(self) -> None:
        """Drop the source of the stream; the bytes stay."""
        self._stay()
        self._source = None
        self._sharing.rest()

    def accept(self, stored: Stored) -> None:
        """Take what another sender has encoded."""
        self.measure(stored.data)
        if len(stored.data) > len(self):
            self._source = None
        self.take(stored.data[len(self) :])
        if stored.complete:
            self.end()
        self._listeners.notify()

    def lacks(self) -> bool:
        """Tell whether a subscriber waits for more than is there."""
        if self._closed or self.idle or self.failure is not None or self.complete:
            return False
        return self._due(max(self._wanted, self._claimed))

    def close(self) -> None:
        """Stop computing and saving."""
        self._closed = True
        self._stay()
        if self._task is not None:
            self._task.cancel()
        self._sharing.close()
        self._source = None

    @property
    def _waits(self) -> bool:
        """Whether its task only waits: for a slot, or for another sender."""
        return self._in_line or self._sharing.following

    def _due(self, length: int) -> bool:
        """Tell whether ``length`` wanted bytes take computing."""
        return length > len(self) or (self.pixels is None and length > _NOTHING)

    def _go_on(self) -> None:
        if self._task is None and self.lacks():
            self.spare_since = None
            self._task = asyncio.get_running_loop().create_task(self._grow())

    async def _grow(self) -> None:
        """Compute until no subscriber waits for more."""
        try:
            self._sharing.work(active=True)
            if self._source is None:
                await self._sharing.look()
            while self.lacks():
                self._hold(0)
                self._unpaid = not self.light and self._listeners.wait() > 0.0
                if self._unpaid:
                    await self._pause()
                elif self._source is None:
                    await self._open()
                elif await self._may_encode():
                    await self._step(self._source)
        except asyncio.CancelledError:
            # Cancelled in the queue, because it has no subscribers; or else the daemon ends.
            self._closed = self._closed or not self._waits
        except Exception as error:
            if isinstance(error, PrefixMismatch):
                await self._sharing.delete()
            self._fail(error)
        finally:
            self._task, self._in_line, self._unpaid = None, False, False
            self._settle()

    async def _pause(self) -> None:
        """Wait until an account can pay, or a subscriber joins or leaves; frees the slot."""
        self.spare_since = asyncio.get_running_loop().time()
        self._work.rest()
        self._sharing.release()
        self._listeners.notify()
        self._slots.serve_queue()
        await self._listeners.changed(within=self._listeners.wait())
        self.spare_since = None

    def _settle(self) -> None:
        """Handle the end of computing for now."""
        self.spare_since = asyncio.get_running_loop().time()
        self._work.rest()
        if self._source is None:
            self._slots.release(self)
        self._sharing.work(active=False)
        if self.idle or self.complete or self.failure is not None:
            self._sharing.release()
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

    async def _may_encode(self) -> bool:
        """Get the lease; if another sender has it, take what that one encodes."""
        if await self._sharing.may_encode():
            return True
        if self._sharing.following:
            self._source = None
            self._work.rest()
            self._slots.release(self)
            await self._sharing.follow()
        return False

    async def _open(self) -> None:
        """Open the source of the stream; if it is an encoder, after getting a slot."""
        opener = self._opener
        if not self.light:
            self._in_line = True
            self._work.rest()
            if self._before is not None:
                self._slots.release(self)  # or those before might wait for it
                claimed, payers = not self._due(self._wanted), self._listeners
                opener = await self._before.opener_for(self, payers, claimed=claimed)
            await self._slots.acquire(self)
            self._in_line = False
            if not await self._may_encode():
                return
        data = bytes(self._data)
        source = await self._on(opener.open, self._file.path, self.model, data)
        self._file.check(source.version or await self._version())
        self.pixels, self.model = source.pixels, source.model
        if not self.light and not self._slots.can_keep(self):
            self._slots.release(self)  # queue again, now that its size is known
            return
        self._sharing.provenance.went_on(len(data))
        self._source = source
        self._listeners.notify()

    async def _step(self, source: Source) -> None:
        """Compute the next piece."""
        piece = await self._on(_next, source)
        self._metrics.steps += not self.light
        if piece is None:
            self.end()
        else:
            self.take(piece)
        if self._sharing.due:
            self._sharing.save()
        self._listeners.notify()

    async def _on(self, function: Callable[[*Given], Result], *arguments: *Given) -> Result:
        """Run a function on a thread, and charge its time to the subscribers."""
        if self.light:
            return await self._workers.read(function, *arguments)
        (self._work.need if self._due(self._wanted) else self._work.rest)()
        return await self._work.run(function, *arguments)

    async def _version(self) -> Identity:
        """Return the present version of the file.  Raises RequestRefused if it is missing."""
        found = await self._workers.read(File.at, self._file.path)
        return found.version

    def end(self) -> None:
        """Note that the stream is complete."""
        super().end()
        self._source = None

    def _fail(self, error: Exception) -> None:
        self._source = None
        self.failure = refusal(self._file.path.name, error)


def _next(source: Source) -> bytes | None:
    return next(source.pieces, None)
