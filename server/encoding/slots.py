"""Who may have an encoder, and who waits for one.

An encoder takes many times the memory of its picture, so only so many pixels have one at once;
they take turns on the threads, piece by piece.  A picture that finds no slot waits in a queue; what
the queue has no room for is refused, with the seconds after which to come back.  A picture that
needs nothing computed for a while loses its slot when others wait: its bytes stay, and replaying
them brings an encoder back to where it was.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import Protocol

from diffc_stream.errors import RequestRefused
from diffc_stream.session import Code

MOST_SLOTS = 64
MOST_PIXELS = 50_000_000
"""Of all pictures that have a slot, unless it is one alone: some 60 bytes are held for each."""
MOST_WAITING = 64
LINGER = 10.0
"""Seconds without anything to compute after which somebody who is listened to makes way."""
FIRST_GUESS = 5.0
"""Seconds of an encoder that a picture takes, as long as none has been measured."""
SHORTEST, LONGEST = 1.0, 300.0
"""Seconds; within them lies what is told to those who are sent away."""
_RECENT = 16


class SlotHolder(Protocol):
    """Somebody who needs an encoder."""

    @property
    def weight(self) -> int:
        """Pixels; 0 as long as nobody knows."""
        ...

    @property
    def spare_since(self) -> float | None:
        """Since when nothing is to be computed for it; None while something is."""
        ...

    @property
    def idle(self) -> bool:
        """Nobody listens to it."""
        ...

    def rest(self) -> None:
        """Let go of the encoder."""
        ...


class EncoderSlots:
    """Slots of encoders, and the queue of those that wait for one; used on one event loop."""

    def __init__(
        self,
        *,
        encoders: int = 1,
        slots: int = MOST_SLOTS,
        pixels: int = MOST_PIXELS,
        queue: int = MOST_WAITING,
    ) -> None:
        """Give out ``slots`` at most, to ``pixels`` together; ``queue`` may wait.

        ``encoders`` is how many compute at the same time, which tells how long a queue takes.
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
        """How many hold an encoder, or are getting one."""
        return len(self._holders)

    @property
    def waiting(self) -> int:
        """How many wait in the queue."""
        return len(self._waiting)

    async def take(self, holder: SlotHolder) -> None:
        """Wait for a slot.  Raises RequestRefused if too many do already."""
        if not self._waiting and self._make_way(holder):
            self._holders[holder] = None
            return
        if len(self._waiting) >= self._queue:
            raise RequestRefused(
                Code.BUSY,
                "too many pictures are being encoded",
                retry=True,
                after=self.patience(),
            )
        turn = asyncio.get_running_loop().create_future()
        self._waiting[holder] = turn
        self.look()
        try:
            await turn
        except asyncio.CancelledError:
            self._waiting.pop(holder, None)
            self.leave(holder)  # it may have been its turn just now
            raise

    def bears(self, holder: SlotHolder) -> bool:
        """Tell whether a holder, whose weight is known by now, may stay; others make way."""
        return self._make_way(holder)

    def leave(self, holder: SlotHolder) -> None:
        """Give a slot back, if the holder has one."""
        self._holders.pop(holder, None)
        self.look()

    def look(self) -> None:
        """Give slots to those for which there is room by now, first come first served."""
        while self._waiting:
            holder, turn = next(iter(self._waiting.items()))
            if not turn.done():
                if not self._make_way(holder):
                    self._look_again()
                    return
                self._holders[holder] = None
                turn.set_result(None)
            del self._waiting[holder]

    def took(self, seconds: float) -> None:
        """Take note of what a picture has taken of an encoder's time."""
        self._took.append(seconds)

    def patience(self) -> float:
        """Return in how many seconds the queue as it is will have been served, roughly."""
        mean = sum(self._took) / len(self._took) if self._took else FIRST_GUESS
        return min(max(SHORTEST, mean * (len(self._waiting) + 1) / self._encoders), LONGEST)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _make_way(self, holder: SlotHolder) -> bool:
        """Take slots away until there is room; tell whether there is."""
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
        # One of any size may be alone.
        return not others or (len(others) < self._slots and pixels <= self._pixels)

    def _spare(self, holder: SlotHolder) -> SlotHolder | None:
        """Return whose slot goes first: nobody listens, or nothing was wanted for long."""
        now = asyncio.get_running_loop().time()
        found = [
            (not other.idle, other.spare_since, other)
            for other in self._holders
            if other is not holder and other.spare_since is not None
        ]
        listened, since, first = min(found, key=lambda one: one[:2], default=(False, now, None))
        return None if listened and now < since + LINGER else first

    def _look_again(self) -> None:
        """Look when the next of those who are listened to will have been spare for long enough."""
        self.close()
        since = [other.spare_since for other in self._holders]
        ends = [moment + LINGER for moment in since if moment is not None]
        if ends:
            self._timer = asyncio.get_running_loop().call_at(min(ends), self.look)
