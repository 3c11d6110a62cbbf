"""The limit on how much computation a stream may cause per byte.

It protects receivers from hostile streams.  Every step makes the receiver run the denoiser over the
octave observed, and the format lets a few bytes ask for that.  Streams of photographs need 200
pixels evaluated per byte; streams of pictures of one colour need 825 as measured and up to 1,300 by
extrapolation, and those of very small pictures need more.  A receiver refuses what goes far beyond
that, and :class:`~diffc_stream.codec.encoder.Encoder` keeps its own streams within the limit.
"""

from __future__ import annotations

from diffc_stream.errors import CorruptStream

FREE = 2**18
"""Pixels that any stream may have evaluated."""
PER_BYTE = 2048
"""Further pixels that it may have evaluated for each byte that has arrived."""


def check(work: int, offset: int) -> None:
    """Raise CorruptStream if a stream may not begin another step at byte ``offset``.

    ``work`` is the number of pixels evaluated for the steps before.  The step's own cost is not
    included: it is weighed, together with the step's bytes, when the next step begins.
    """
    if not allows(work, offset):
        raise CorruptStream("more to compute than so few bytes are worth", offset=offset)


def allows(work: int, offset: int) -> bool:
    """Return whether a step may begin at byte ``offset`` after ``work`` pixels were evaluated."""
    return work <= FREE + PER_BYTE * offset


def least(work: int, offset: int) -> int:
    """Return the fewest bytes that a step at ``offset`` may have if another is to follow it.

    ``work``, in pixels, includes the cost of the step itself.
    """
    return max(1, -(-(work - FREE) // PER_BYTE) - offset)
