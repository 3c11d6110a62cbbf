"""Read the size of JPEG XL files, because the plug-in for Pillow decodes everything to find it."""

from __future__ import annotations

from typing import BinaryIO

from diffc_stream.imaging import Unsupported
from diffc_stream.imaging.boxes import outer

CODESTREAM = b"\xff\x0a"
MOST_BOXES = 64
"""Of a file that are looked through for the picture."""
_HEAD = 16
"""Bytes that the size is within."""
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
"""Width to height."""


def size_of(file: BinaryIO) -> tuple[int, int]:
    """Return the width and height of the picture.  Raises Unsupported if there is none."""
    head = _codestream(file)
    if head[:2] != CODESTREAM or len(head) < _HEAD // 2:
        raise Unsupported("a damaged JPEG XL")
    bits = _Bits(head[2:])
    small = bits.take(1)
    height = bits.side(small=bool(small))
    ratio = bits.take(3)
    if ratio == 0:
        return bits.side(small=bool(small)), height
    across, down = _RATIOS[ratio]
    return height * across // down, height


class _Bits:
    """Takes bits, the least first; after the last come zeros."""

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._left & ((1 << count) - 1)
        self._left >>= count
        return value

    def side(self, *, small: bool) -> int:
        if small:
            return 8 * (1 + self.take(5))
        return 1 + self.take((9, 13, 18, 30)[self.take(2)])


def _codestream(file: BinaryIO) -> bytes:
    """Return how the coded picture begins, in a container or bare."""
    file.seek(0)
    head = file.read(_HEAD)
    if head[:2] == CODESTREAM:
        return head
    for kind, place, _ in outer(file, MOST_BOXES):
        if kind in (b"jxlc", b"jxlp"):
            file.seek(place + (4 if kind == b"jxlp" else 0))
            return file.read(_HEAD)
    return b""
