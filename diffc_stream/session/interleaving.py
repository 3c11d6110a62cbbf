"""Which stream of a connection a sender sends next, and how much of it.

A byte should go where it does most good: to the stream with the largest predicted gain in quality
per byte, times the receiver's weight.  Curves bend, and a step may have to be paid for before it
helps; so a stream's gain is that of the best stretch ahead of it, and what is sent is that stretch,
in messages of at most FRAME bytes that end where a record or segment does if they can.  A picture
nobody can recognise yet is worth more: below RECOGNISABLE every decibel counts double.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log2

FIRST_FRAME = 256
"""Bytes: the first picture should not wait for more than it needs."""
FRAME = 1100
"""Bytes of payload; the largest frame, and so the most that is sent after a STOP was read.  Two
segments of a stream, with their checks, fit."""
SMALL_FRAME = 256
"""Bytes; smaller frames, the first and the last aside, cost too much overhead to be sent, and later
on so do frames of less than a quarter of what went before: they would hardly show."""
SHARED_FRAME = 64
"""The same where streams share a connection: each gets its first picture sooner."""
OVERHEAD = 11
"""Bytes that a message costs beside its payload, about."""
RECOGNISABLE = 19.0
"""PSNR in dB."""
USUAL_GAIN = 1.8
"""PSNR in dB that twice the bytes bring, on photographs: what is expected without a curve."""
LEAST_SHARE = 0.1
"""Of the usual gain, which a stream counts as having at least: where its curve is flat, it should
not wait until all others have ended.  Photographs gain a third of it or more wherever they are."""
_NOTHING = 1e-9
"""Decibels; what rounding may do is less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is known of a stream that may be sent."""

    position: int
    """The next byte."""
    end: int
    """Bytes that can be sent now, counted from the stream's start; more than ``position``."""
    last: bool
    """It is pointless to wait for more than that."""
    weight: float = 1.0
    offsets: Sequence[int] = ()
    """Bytes of the stream, ascending, at which its quality is predicted ..."""
    psnr: Sequence[float] = ()
    """... in dB, never less than before."""
    boundaries: Sequence[int] = ()
    """Where messages had better end, ascending."""
    hull: Sequence[int] = ()
    """What :func:`hull` makes of ``offsets`` and ``psnr``, if that is known; it saves looking at
    all of them."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a stream would send next."""

    end: int
    """Up to this byte."""
    gain: float
    """Weighted decibels per byte, above 0; 0 if there is no other stream to compare it with."""


def turn(outlook: Outlook, *, alone: bool) -> Turn | None:
    """Return what a stream would send next; None if it had better wait for more bytes.

    ``alone``: no other stream shares the connection.
    """
    position, available = outlook.position, outlook.end - outlook.position
    smallest = SMALL_FRAME if alone else SHARED_FRAME
    least = min(FRAME, max(smallest, position // 4)) if position else 1
    if available < least and not outlook.last:
        return None
    most = FRAME if position else FIRST_FRAME
    if alone:
        return Turn(cut(outlook, position + most), 0.0)
    stretch, gain = _stretch(outlook)
    size = min(max(stretch - position, least), most)
    gain = max(gain, LEAST_SHARE * USUAL_GAIN / (stretch + OVERHEAD))
    return Turn(cut(outlook, position + size), outlook.weight * gain)


def cut(outlook: Outlook, end: int) -> int:
    """Return where a message that would end at ``end`` had better end, if anywhere before.

    That is after a record or a segment, unless it would make the message less than half as long.
    """
    end = min(end, outlook.end)
    place = bisect_right(outlook.boundaries, end)
    if place and 2 * (outlook.boundaries[place - 1] - outlook.position) >= end - outlook.position:
        return outlook.boundaries[place - 1]
    return end


def hull(offsets: Sequence[int], psnr: Sequence[float]) -> list[int]:
    """Return for every place on a curve the next one at which a best stretch may end.

    Those between are below the straight line that joins the two, so that whoever looks from before
    the first sees the second, or what is beyond it, under a steeper angle.  The last is followed by
    the number of places.
    """
    worth = [_worth(quality) for quality in psnr]
    following = list(range(1, len(offsets) + 1))
    for place in range(len(offsets) - 2, -1, -1):
        near = place + 1
        while (far := following[near]) < len(offsets):
            share = (offsets[near] - offsets[place]) / (offsets[far] - offsets[place])
            if worth[near] >= (1 - share) * worth[place] + share * worth[far] - _NOTHING:
                break
            near = far
        following[place] = near
    return following


def _stretch(outlook: Outlook) -> tuple[int, float]:
    """Return where the best stretch ahead ends, and its gain in decibels per byte."""
    offsets, position = outlook.offsets, outlook.position
    ahead = bisect_right(offsets, position)
    if ahead == len(offsets):
        # Beyond the curve, or without one.
        end = outlook.end
        return end, USUAL_GAIN * log2((end + OVERHEAD) / (position + OVERHEAD)) / (end - position)
    here = _worth(_quality(outlook, ahead))
    if outlook.hull and offsets[-1] <= outlook.end:
        return _steepest(outlook, ahead, here)
    reached = max(bisect_right(offsets, outlook.end), ahead + 1)
    gain, end = max(
        ((_worth(outlook.psnr[i]) - here) / (offsets[i] - position + OVERHEAD), offsets[i])
        for i in range(ahead, reached)
    )
    return end, gain


def _steepest(outlook: Outlook, ahead: int, here: float) -> tuple[int, float]:
    """Return the same where all of the curve is within reach: along its hull."""
    best = (-inf, 0)
    while ahead < len(outlook.offsets):
        offset, gained = outlook.offsets[ahead], _worth(outlook.psnr[ahead]) - here
        size = offset - outlook.position + OVERHEAD
        # Along a hull it gets steeper, then less so.
        if gained < best[0] * size - 2 * _NOTHING:
            break
        best = max(best, (gained / size, offset))
        ahead = outlook.hull[ahead]
    return best[1], best[0]


def _quality(outlook: Outlook, ahead: int) -> float:
    """Return the quality at the position; ``ahead`` is the index of the first offset beyond it."""
    if not ahead:
        return outlook.psnr[0]
    low, high = outlook.offsets[ahead - 1 : ahead + 1]
    share = (outlook.position - low) / (high - low)
    return (1 - share) * outlook.psnr[ahead - 1] + share * outlook.psnr[ahead]


def _worth(psnr: float) -> float:
    return psnr - max(0.0, RECOGNISABLE - psnr)
