"""How much of a stream another starts from, as a camera's picture does from the one before.

It is as long as a picture of REFERENCE_PSNR takes, which follows from its bytes alone, so that all
senders take the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from diffc_stream.codec.curve import Curve
from diffc_stream.container import Header

REFERENCE_PSNR = 34.0
"""The expected quality in dB of what a stream starts from: what is better there saves little."""
STEP = 256
"""It has a multiple of so many bytes, unless it is a whole stream."""
MOST_BPP = 0.5
"""Its most bits per pixel."""

EXTENT = f"from {REFERENCE_PSNR:g} dB in {STEP}, {MOST_BPP:g} bpp at most"
"""The usual rule in words: streams by another rule are others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How much of a stream another starts from, where less than usual is sent of each."""

    psnr: float | None = None
    """If it is less than REFERENCE_PSNR, what is as good is enough."""
    bytes: int | None = None
    """Its most bytes."""

    def __str__(self) -> str:
        psnr = "" if self.enough == REFERENCE_PSNR else f", {self.psnr:g} dB"
        most = "" if self.bytes is None else f", {self.bytes} bytes at most"
        return f"{EXTENT}{psnr}{most}"

    @property
    def enough(self) -> float:
        """The expected quality in dB at which it ends."""
        return REFERENCE_PSNR if self.psnr is None else min(self.psnr, REFERENCE_PSNR)


USUAL = Rule()


class Extent:
    """Finds how much of a stream the next one starts from."""

    def __init__(self, rule: Rule = USUAL) -> None:
        """Look for it by a rule."""
        self._rule = rule
        self.size: int | None = None
        """That many bytes, once it is known."""
        self.looked = 0
        """Bytes of the stream that are taken into account."""
        self._curve = Curve()
        self._head = b""
        """The first bytes, until the header is complete."""
        self._most: int | None = None
        """Where it ends at the latest, once that is known."""

    def look(self, data: bytes, *, complete: bool) -> None:
        """Take the bytes after those of the last call; with ``complete`` there are no more.

        All but the last calls have multiples of STEP.
        """
        for start in range(0, len(data), STEP):
            piece = data[start : start + STEP]
            if len(piece) < STEP and not complete:
                return
            self._take(piece)
            if self.size is not None:
                return
        if complete:
            self.size = self.looked

    def _take(self, piece: bytes) -> None:
        self._curve.feed(piece)
        self.looked += len(piece)
        if self._most is None:
            self._head += piece
            if (header := Header.at(self._head)) is not None:
                rated = int(header.width * header.height * MOST_BPP / 8)
                if self._rule.bytes is not None:
                    rated = min(rated, self._rule.bytes)
                self._most = max(rated // STEP * STEP, self.looked)
        psnr = self._curve.psnr()
        good = len(psnr) > 1 and psnr[-1] >= self._rule.enough
        if self._most is not None and (good or self.looked >= self._most):
            self.size = self.looked
