"""How far a receiver wants a stream to go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a stream may end: at the first target that it reaches, or at its own end without one.

    The fields, and their limits, are those of OPEN.
    """

    bytes: int | None = None
    """Length of the stream in bytes, counted from its very start."""
    bpp: float | None = None
    """Length of the stream in bits per pixel of the picture."""
    side: int | None = None
    """Longest side of the display in pixels: octaves that are too fine for it are not wanted."""
    psnr: float | None = None
    """Predicted quality, in dB, that is good enough."""

    def length(self, pixels: int) -> int | None:
        """Return the length in bytes that ``bytes`` and ``bpp`` allow for a picture of ``pixels``.

        None if neither is given.
        """
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
"""No target: the whole stream."""
