"""Which stream of a connection a sender sends next, and how much of it.

Each byte goes where it helps most: to the stream with the largest predicted gain in quality per
byte, times the receiver's weight.  The next byte alone is no guide, because some steps help only
once they are complete.  So a stream's gain is that of the best stretch ahead of it on its
rate-distortion curve, and that stretch is what is sent.  It goes in messages of at most FRAME
bytes, which end at the end of a record or segment where possible.  Pictures that are not yet
recognisable come first: below RECOGNISABLE every decibel counts double.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log2

FIRST_FRAME = 256
"""Bytes of a stream's first frame: small, so that the first picture comes soon."""
FRAME = 1100
"""Bytes of payload in the largest frame, and therefore the most that is sent after a STOP was read.
Two segments of a stream fit, with their checks."""
SMALL_FRAME = 256
"""Bytes of the smallest frame, the first and the last aside: smaller ones have too much overhead.
Later on, frames have at least a quarter of what went before: less would hardly show."""
SHARED_FRAME = 64
"""The same where streams share a connection: smaller, so that each gets its first picture
sooner."""
OVERHEAD = 11
"""Bytes that a message costs in addition to its payload, about."""
RECOGNISABLE = 19.0
"""PSNR in dB from which a picture counts as recognisable."""
USUAL_GAIN = 1.8
"""Gain in PSNR, in dB, by doubling the bytes of a photograph: assumed where there is no curve."""
LEAST_SHARE = 0.1
"""A stream's gain counts as at least this share of the usual one, so that a stream with a flat
curve need not wait until all others have ended.  Photographs gain a third or more everywhere."""
_NOTHING = 1e-9
"""Decibels; differences below this may be rounding errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is known about a stream that has bytes to send."""

    position: int
    """Offset of the next byte to send."""
    end: int
    """Offset up to which bytes can be sent now; more than ``position``."""
    last: bool
    """Whether ``end`` is the end for now, so that waiting for more bytes is pointless."""
    weight: float = 1.0
    """How much the receiver says a gain of this stream counts."""
    offsets: Sequence[int] = ()
    """Byte offsets, ascending, at which the quality is predicted ..."""
    psnr: Sequence[float] = ()
    """... and that quality in dB, never decreasing."""
    boundaries: Sequence[int] = ()
    """Byte offsets, ascending, where messages should end if possible."""
    hull: Sequence[int] = ()
    """The result of :func:`hull` for ``offsets`` and ``psnr``, if known; saves searching the whole
    curve."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a stream would send next."""

    end: int
    """Offset up to which it would send."""
    gain: float
    """Weighted decibels per byte, above 0; 0 if there is no other stream to compare it with."""


def turn(outlook: Outlook, *, alone: bool) -> Turn | None:
    """Return what a stream would send next, or None if it should wait for more bytes.

    ``alone`` says that no other stream shares the connection.
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
    """Return the best end, at most ``end``, for a message from the outlook's position.

    That is the end of a record or a segment, unless it would make the message less than half as
    long.
    """
    end = min(end, outlook.end)
    place = bisect_right(outlook.boundaries, end)
    if place and 2 * (outlook.boundaries[place - 1] - outlook.position) >= end - outlook.position:
        return outlook.boundaries[place - 1]
    return end


def hull(offsets: Sequence[int], psnr: Sequence[float]) -> list[int]:
    """Return, for every point of a curve, the next point at which a best stretch may end.

    The points are indices; the last one is followed by the number of points.  Points in between lie
    below the straight line that joins the two (the upper convex hull): seen from anywhere before
    the first point, either the second or one beyond it is steeper.
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
        # The position is beyond the curve, or there is no curve.
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
    """Do the same as :func:`_stretch` for a curve that can be sent whole, along its hull."""
    best = (-inf, 0)
    while ahead < len(outlook.offsets):
        offset, gained = outlook.offsets[ahead], _worth(outlook.psnr[ahead]) - here
        size = offset - outlook.position + OVERHEAD
        # Along a hull the slope rises to its maximum, then falls.
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
