"""Encoder slots: which streams may hold an encoder, and the queue of those that wait for one.

An encoder takes many times the memory of its picture, so the pictures with one are limited in
number and in pixels; they take turns on the threads, piece by piece.  A picture that finds no slot
waits in a queue.  If the queue is full, the request is refused with the seconds after which to come
back.  A picture that has needed nothing for a while loses its slot when others wait: its bytes stay
in memory, and a new encoder replays them to continue where the old one was.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import Protocol

from diffc_stream.errors import RequestRefused
from diffc_stream.session import Code

MOST_SLOTS = 64
MOST_PIXELS = 50_000_000
"""Of all pictures with a slot together; a single one may be larger.  Each pixel takes about 60
bytes of memory."""
MOST_WAITING = 64
LINGER = 10.0
"""Seconds without work after which a stream that has receivers may lose its slot."""
FIRST_GUESS = 5.0
"""Assumed seconds of an encoder for a picture, until some have been measured."""
SHORTEST, LONGEST = 1.0, 300.0
"""Bounds, in seconds, of the time to come back that a refusal gives."""
_RECENT = 16


class SlotHolder(Protocol):
    """A stream that needs an encoder."""

    @property
    def weight(self) -> int:
        """The picture's pixels; 0 while they are not known."""
        ...

    @property
    def spare_since(self) -> float | None:
        """Since when it has had nothing to compute; None while it has."""
        ...

    @property
    def idle(self) -> bool:
        """Whether it has no receivers."""
        ...

    def rest(self) -> None:
        """Drop the encoder."""
        ...


class EncoderSlots:
    """The slots and their queue; used on one event loop."""

    def __init__(
        self,
        *,
        encoders: int = 1,
        slots: int = MOST_SLOTS,
        pixels: int = MOST_PIXELS,
        queue: int = MOST_WAITING,
    ) -> None:
        """Give out up to ``slots`` slots, to ``pixels`` pixels together; ``queue`` may wait.

        ``encoders`` is how many compute at the same time, for the estimate of the waiting time.
        """
        self._encoders = encoders
        self._slots = slots
        self._pixels = pixels
        self._queue = queue
        self._holders: dict[SlotHolder, None] = {}
        self._waiting: OrderedDict[SlotHolder, asyncio.Future[None]] = OrderedDict()
        self._took: deque[float] = deque(maxlen=_RECENT)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def in_use(self) -> int:
        """How many streams hold a slot."""
        return len(self._holders)

    @property
    def waiting(self) -> int:
        """How many streams wait in the queue."""
        return len(self._waiting)

    async def acquire(self, holder: SlotHolder) -> None:
        """Wait for a slot.  Raises RequestRefused if the queue is full."""
        if not self._waiting and self._make_room(holder):
            self._holders[holder] = None
            return
        if len(self._waiting) >= self._queue:
            raise RequestRefused(
                Code.BUSY,
                "too many pictures are being encoded",
                retry=True,
                after=self.estimated_wait(),
            )
        turn = asyncio.get_running_loop().create_future()
        self._waiting[holder] = turn
        self.serve_queue()
        try:
            await turn
        except asyncio.CancelledError:
            self._waiting.pop(holder, None)
            self.release(holder)  # it may have been given one just now
            raise

    def can_keep(self, holder: SlotHolder) -> bool:
        """Tell whether a holder may keep its slot now that its weight is known.

        Slots that are not needed are taken from others to make room.
        """
        return self._make_room(holder)

    def release(self, holder: SlotHolder) -> None:
        """Release the holder's slot, if it has one."""
        self._holders.pop(holder, None)
        self.serve_queue()

    def serve_queue(self) -> None:
        """Give slots to waiting streams for which there is room, first come first served."""
        while self._waiting:
            holder, turn = next(iter(self._waiting.items()))
            if not turn.done():
                if not self._make_room(holder):
                    self._look_again()
                    return
                self._holders[holder] = None
                turn.set_result(None)
            del self._waiting[holder]

    def record_duration(self, seconds: float) -> None:
        """Record how many seconds of an encoder a picture has taken."""
        self._took.append(seconds)

    def estimated_wait(self) -> float:
        """Return an estimate, in seconds, of when the present queue will have been served."""
        mean = sum(self._took) / len(self._took) if self._took else FIRST_GUESS
        return min(max(SHORTEST, mean * (len(self._waiting) + 1) / self._encoders), LONGEST)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _make_room(self, holder: SlotHolder) -> bool:
        """Take slots from streams that can spare them until ``holder`` fits, if that works."""
        while not self._fits(holder):
            spare = self._spare(holder)
            if spare is None:
                return False
            del self._holders[spare]
            spare.rest()
        return True

    def _fits(self, holder: SlotHolder) -> bool:
        others = [other for other in self._holders if other is not holder]
        pixels = sum(other.weight for other in others) + holder.weight
        # A single picture may have any size.
        return not others or (len(others) < self._slots and pixels <= self._pixels)

    def _spare(self, holder: SlotHolder) -> SlotHolder | None:
        """Return the stream to lose its slot first: one without receivers, or long without work."""
        now = asyncio.get_running_loop().time()
        found = [
            (not other.idle, other.spare_since, other)
            for other in self._holders
            if other is not holder and other.spare_since is not None
        ]
        listened, since, first = min(found, key=lambda one: one[:2], default=(False, now, None))
        return None if listened and now < since + LINGER else first

    def _look_again(self) -> None:
        """Schedule a look for when the next stream with receivers may lose its slot."""
        self.close()
        since = [other.spare_since for other in self._holders]
        ends = [moment + LINGER for moment in since if moment is not None]
        if ends:
            self._timer = asyncio.get_running_loop().call_at(min(ends), self.serve_queue)
