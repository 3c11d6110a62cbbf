"""Who may hold an encoder, and who waits for one.

An encoder holds its picture many times over, so only so many pixels are seated at once; they take
turns on the threads, piece by piece.  Whoever finds no seat waits in line, and beyond the line's
length is sent away, with a word on when to come back.  Who needs nothing computed for a while loses
its seat when others wait: its bytes stay, and replaying them gets it back to where it was.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import Protocol

from diffc_stream.errors import RequestRefused
from diffc_stream.session import Code

MOST_SEATS = 64
MOST_PIXELS = 50_000_000
"""Of all pictures that are seated, unless it is one alone: some 60 bytes are held for each."""
MOST_WAITING = 64
LINGER = 10.0
"""Seconds without anything to compute after which somebody who is listened to makes way."""
FIRST_GUESS = 5.0
"""Seconds of an encoder that a picture takes, as long as none has been measured."""
SHORTEST, LONGEST = 1.0, 300.0
"""Seconds; within them lies what is told to those who are sent away."""
_RECENT = 16


class Sitter(Protocol):
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


class Seats:
    """Seats for those who compute, and the line of those who wait; used on one event loop."""

    def __init__(
        self,
        *,
        encoders: int = 1,
        seats: int = MOST_SEATS,
        pixels: int = MOST_PIXELS,
        queue: int = MOST_WAITING,
    ) -> None:
        """Seat ``seats`` at most, of ``pixels`` together; ``queue`` may wait.

        ``encoders`` is how many compute at the same time, which tells how long a line takes.
        """
        self._encoders = encoders
        self._seats = seats
        self._pixels = pixels
        self._queue = queue
        self._seated: dict[Sitter, None] = {}
        self._line: OrderedDict[Sitter, asyncio.Future[None]] = OrderedDict()
        self._took: deque[float] = deque(maxlen=_RECENT)
        self._timer: asyncio.TimerHandle | None = None

    @property
    def seated(self) -> int:
        """How many hold an encoder, or are getting one."""
        return len(self._seated)

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line)

    async def take(self, sitter: Sitter) -> None:
        """Wait for a seat.  Raises RequestRefused if too many do already."""
        if not self._line and self._make_way(sitter):
            self._seated[sitter] = None
            return
        if len(self._line) >= self._queue:
            raise RequestRefused(
                Code.BUSY,
                "too many pictures are being encoded",
                retry=True,
                after=self.patience(),
            )
        turn = asyncio.get_running_loop().create_future()
        self._line[sitter] = turn
        self.look()
        try:
            await turn
        except asyncio.CancelledError:
            self._line.pop(sitter, None)
            self.leave(sitter)  # it may have been its turn just now
            raise

    def bears(self, sitter: Sitter) -> bool:
        """Tell whether a sitter may stay, now that its weight is known; others make way for it."""
        return self._make_way(sitter)

    def leave(self, sitter: Sitter) -> None:
        """Give a seat back, if the sitter has one."""
        self._seated.pop(sitter, None)
        self.look()

    def look(self) -> None:
        """Seat those for whom there is room by now, first come first served."""
        while self._line:
            sitter, turn = next(iter(self._line.items()))
            if not turn.done():
                if not self._make_way(sitter):
                    self._look_again()
                    return
                self._seated[sitter] = None
                turn.set_result(None)
            del self._line[sitter]

    def took(self, seconds: float) -> None:
        """Take note of what a picture has taken of an encoder's time."""
        self._took.append(seconds)

    def patience(self) -> float:
        """Return in how many seconds the line as it is will have been served, roughly."""
        mean = sum(self._took) / len(self._took) if self._took else FIRST_GUESS
        return min(max(SHORTEST, mean * (len(self._line) + 1) / self._encoders), LONGEST)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _make_way(self, sitter: Sitter) -> bool:
        """Have others stand up until there is room; tell whether there is."""
        while not self._fits(sitter):
            spare = self._spare(sitter)
            if spare is None:
                return False
            del self._seated[spare]
            spare.rest()
        return True

    def _fits(self, sitter: Sitter) -> bool:
        others = [other for other in self._seated if other is not sitter]
        pixels = sum(other.weight for other in others) + sitter.weight
        # One of any size is seated alone.
        return not others or (len(others) < self._seats and pixels <= self._pixels)

    def _spare(self, sitter: Sitter) -> Sitter | None:
        """Return who stands up first: nobody listens, or nothing was wanted for long."""
        now = asyncio.get_running_loop().time()
        found = [
            (not other.idle, other.spare_since, other)
            for other in self._seated
            if other is not sitter and other.spare_since is not None
        ]
        listened, since, first = min(found, key=lambda one: one[:2], default=(False, now, None))
        return None if listened and now < since + LINGER else first

    def _look_again(self) -> None:
        """Look when the next of those who are listened to will have been spare for long enough."""
        self.close()
        since = [other.spare_since for other in self._seated]
        ends = [moment + LINGER for moment in since if moment is not None]
        if ends:
            self._timer = asyncio.get_running_loop().call_at(min(ends), self.look)
