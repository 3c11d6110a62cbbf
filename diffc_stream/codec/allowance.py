"""How much a stream may have computed for its bytes, which come from somebody else.

A step costs the receiver an evaluation of the octave observed, and the format lets a few bytes ask
for that.  What encoders make of photographs has 200 pixels evaluated a byte, of pictures of one
colour 825 as measured and up to 1,300 by extrapolation, of very small ones more; so a receiver
refuses what goes far beyond, and
:class:`~diffc_stream.codec.encoder.Encoder` sees that no stream of its own does.
"""

from __future__ import annotations

from diffc_stream.errors import CorruptStream

FREE = 2**18
"""Pixels that may be evaluated before anything counts."""
PER_BYTE = 2048
"""... and for every byte that has arrived."""


def check(work: int, offset: int) -> None:
    """Raise CorruptStream for a step at ``offset`` if those before it were ``work`` pixels' worth.

    What a step itself costs is charged with its bytes, to the next one.
    """
    if not allows(work, offset):
        raise CorruptStream("more to compute than so few bytes are worth", offset=offset)


def allows(work: int, offset: int) -> bool:
    """Tell whether another step may follow, ``offset`` bytes from the start."""
    return work <= FREE + PER_BYTE * offset


def least(work: int, offset: int) -> int:
    """Return how many bytes a step at ``offset`` has at least, for the next one to be allowed.

    ``work`` includes what it costs itself.
    """
    return max(1, -(-(work - FREE) // PER_BYTE) - offset)
