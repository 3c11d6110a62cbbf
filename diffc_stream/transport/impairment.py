"""The faults of one direction of a link, as a function of byte offsets.

This module uses neither clocks nor sockets: with the same seed, the same bytes meet the same
faults, in whatever pieces they come.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

FASTEST = 1e7
"""Bytes per second assumed for an unlimited link, to compute how much may be in flight."""
PIECES_PER_SECOND = 20


class Break(Enum):
    """How a connection breaks, as seen by both ends."""

    CUT = "closed"
    RESET = "reset"
    SILENCE = "silent"
    """Nothing passes any more, and neither end is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairment:
    """The faults of one direction of a link.  Bytes and bits are counted for each connection.

    Raises ValueError for values that no link can have.
    """

    rate: float | None = None
    """Bytes per second, for all connections together; None is as fast as this machine."""
    delay: float = 0.0
    """Seconds that every byte is under way, in addition to the time that the rate takes."""
    jitter: float = 0.0
    """Up to this many seconds more, drawn evenly for every piece; bytes stay in order."""
    piece: int = 4096
    """Most bytes that arrive at once; at low rates there are fewer."""
    stall_after: int | None = None
    """After this many bytes nothing passes for ``stall`` seconds, once."""
    stall: float = 0.0
    cut_after: int | None = None
    """After exactly this many bytes both ends see the connection closed."""
    reset_after: int | None = None
    """After this many bytes both ends see the connection reset."""
    silent_after: int | None = None
    """After this many bytes nothing passes in either direction, and neither end is told."""
    flips: tuple[int, ...] = ()
    """Numbers of bits that arrive wrong, ascending; 0 is the top bit of the first byte."""
    flip_every: float | None = None
    """In addition, one in this many bits, on average and at random, arrives wrong."""

    def __post_init__(self) -> None:
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise ValueError(f"a link carries more than {self.rate} bytes per second")
        if not all(0 <= seconds < math.inf for seconds in (self.delay, self.jitter, self.stall)):
            raise ValueError("a link takes no less than 0 seconds, and not for ever")
        if self.piece < 1:
            raise ValueError(f"a piece of {self.piece} bytes")
        places = (self.stall_after, self.cut_after, self.reset_after, self.silent_after)
        if any(place is not None and place < 0 for place in (*places, *self.flips)):
            raise ValueError("a place before the first byte")
        if list(self.flips) != sorted(set(self.flips)):
            raise ValueError("flipped bits that are not ascending")
        if self.flip_every is not None and not 1 <= self.flip_every < math.inf:
            raise ValueError(f"one in {self.flip_every} bits cannot be wrong")

    @property
    def most_at_once(self) -> int:
        """Most bytes that arrive at once, at this rate."""
        if self.rate is None:
            return self.piece
        return max(1, min(self.piece, round(self.rate / PIECES_PER_SECOND)))

    @property
    def holds(self) -> int:
        """Bytes that are in flight when the link is full."""
        return math.ceil((self.rate or FASTEST) * (self.delay + self.jitter))

    def fit(self, place: int) -> int:
        """Return how many bytes from ``place`` on may arrive at once, without a fault amid."""
        places = [self.stall_after, *(breaking for breaking, _ in self._breaks())]
        following = (there - place for there in places if there is not None and there > place)
        return min((self.most_at_once - place % self.most_at_once, *following))

    def stalls_at(self, place: int) -> bool:
        """Return whether bytes from ``place`` on have to wait for the stall to end."""
        return self.stall_after is not None and self.stall_after <= place

    def broken_at(self, place: int) -> Break | None:
        """Return how a connection breaks after ``place`` bytes, or None if it does not."""
        reached = (pair for pair in self._breaks() if pair[0] <= place)
        return min(reached, key=lambda pair: pair[0], default=(0, None))[1]

    def _breaks(self) -> list[tuple[int, Break]]:
        breaks = (
            (self.cut_after, Break.CUT),
            (self.reset_after, Break.RESET),
            (self.silent_after, Break.SILENCE),
        )
        return [(place, how) for place, how in breaks if place is not None]


PERFECT = Impairment()


class Line:
    """The line that all connections share in one direction: bytes cross it one after the other."""

    def __init__(self) -> None:
        self._free = -math.inf

    def crossed(self, nbytes: int, rate: float | None, ready: float) -> float:
        """Return the time at which ``nbytes`` are across that were ready at the time ``ready``."""
        if rate is None:
            return ready
        self._free = max(self._free, ready) + nbytes / rate
        return self._free


class Faults:
    """The random faults of one direction of one connection.  Ask for places in ascending order."""

    def __init__(self, seed: str) -> None:
        self._late = random.Random(f"{seed} late")
        self._wrong = random.Random(f"{seed} wrong")
        self._piece = -1
        self._share = 0.0
        self._flip: int | None = None

    def lateness(self, place: int, impairment: Impairment) -> float:
        """Return the seconds that the byte at ``place`` is late because of jitter."""
        piece = place // impairment.most_at_once
        if piece != self._piece:
            self._piece, self._share = piece, self._late.random()
        return self._share * impairment.jitter

    def damaged(self, data: bytes, place: int, impairment: Impairment) -> bytes:
        """Return ``data``, whose first byte is at ``place``, with its wrong bits."""
        first, end = 8 * place, 8 * (place + len(data))
        wrong = {bit for bit in impairment.flips if first <= bit < end}
        if impairment.flip_every is not None:
            wrong.update(self._drawn(first, end, impairment.flip_every))
        result = bytearray(data)
        for bit in wrong:
            result[bit // 8 - place] ^= 0x80 >> bit % 8
        return bytes(result)

    def _drawn(self, first: int, end: int, every: float) -> Iterator[int]:
        if self._flip is None:
            self._flip = self._gap(every) - 1
        while self._flip < end:
            if self._flip >= first:
                yield self._flip
            self._flip += self._gap(every)

    def _gap(self, every: float) -> int:
        """Return the random distance to the next event, with a probability of 1 in ``every``."""
        drawn = 1 - self._wrong.random()
        return 1 if every == 1 else 1 + int(math.log(drawn) / math.log1p(-1 / every))
