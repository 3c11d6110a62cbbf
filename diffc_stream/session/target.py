"""How far a receiver wants a stream to go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a stream may end: of all that are given, what is reached first; none: at its end.

    The fields, and their limits, are those of OPEN.
    """

    bytes: int | None = None
    """Of the stream, counted from its very start."""
    bpp: float | None = None
    """Bits per pixel of the picture."""
    side: int | None = None
    """A longest side in pixels: octaves that it has no use for are not wanted."""
    psnr: float | None = None
    """Quality in dB that is good enough, as predicted."""

    def length(self, pixels: int) -> int | None:
        """Return the bytes that ``bytes`` and ``bpp`` come to for a picture of so many pixels."""
        limits = [] if self.bytes is None else [self.bytes]
        if self.bpp is not None:
            limits.append(int(self.bpp * pixels / 8))
        return min(limits, default=None)


class TargetOptions(TypedDict, total=False):
    """The fields of a :class:`Target`, as keywords of a function: ``**target``."""

    bytes: int | None
    bpp: float | None
    side: int | None
    psnr: float | None


WHOLE = Target()
"""All that there is."""
