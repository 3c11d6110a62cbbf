"""A JPEG in packets as SSDV sends it, simulated: packets hold whole blocks, lost ones are grey.

SSDV (https://ukhas.org.uk/doku.php?id=guides:ssdv) is what balloons send pictures with: a baseline
JPEG whose blocks are coded so that every packet can be decoded alone.  Here restart markers give
the bytes of each block of 16 x 16 pixels.  Its packets of 256 bytes have a header of 15; tables are
not sent.  Its checksum of 4 bytes is counted, its error correction is not.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffc_stream.metrics import psnr

OVERHEAD = 19
"""Bytes of a packet beside blocks."""
BLOCK = 16
GREY = 128
REDUCTIONS = (1, 2, 3, 4)
_MARKER = re.compile(rb"\xff[\xd0-\xd7]")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Packed:
    """A JPEG in packets."""

    picture: NDArray[np.uint8]
    """As decoded, (H, W, 3), reduced."""
    packets: list[range]
    """The numbers of the blocks in each, row by row."""
    size: tuple[int, int]
    """(width, height) at which it is shown."""

    def received(self, arrived: Sequence[bool]) -> NDArray[np.uint8]:
        """Return the picture with the blocks of packets that have not ``arrived`` in grey."""
        picture = self.picture.copy()
        across = -(-picture.shape[1] // BLOCK)
        for number, blocks in enumerate(self.packets):
            if number < len(arrived) and not arrived[number]:
                for block in blocks:
                    top, left = BLOCK * (block // across), BLOCK * (block % across)
                    picture[top : top + BLOCK, left : left + BLOCK] = GREY
        enlarged = Image.fromarray(picture).resize(self.size, Image.Resampling.BICUBIC)
        return np.asarray(enlarged)


def packed(original: NDArray[np.uint8], packets: int, size: int) -> Packed | None:
    """Return the JPEG with the best PSNR in so many packets of ``size`` bytes, None if none fits.

    Qualities and reductions are tried.
    """
    best: tuple[float, Packed] | None = None
    for reduction in REDUCTIONS:
        for quality in (5, 8, 12, 16, 20, 25, 30, 40, 50, 60, 70, 80):
            found = _encoded(original, reduction, quality, size)
            if found is None or len(found.packets) > packets:
                break
            reached = psnr(found.received(()), original)
            if best is None or reached > best[0]:
                best = reached, found
    return best and best[1]


def _encoded(original: NDArray[np.uint8], reduction: int, quality: int, size: int) -> Packed | None:
    height, width = original.shape[:2]
    # Whole blocks, as SSDV has them.
    small = [max(BLOCK, side // reduction // BLOCK * BLOCK) for side in (width, height)]
    image = Image.fromarray(original).resize((small[0], small[1]), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling="4:2:0", restart_marker_blocks=1)
    data = file.getvalue()
    scan = data[data.index(b"\xff\xda") :]
    lengths = [len(block) for block in _MARKER.split(scan[2 + scan[3] : -2])]
    packets, first, held = [], 0, 0
    for number, length in enumerate(lengths):
        if length > size - OVERHEAD:
            return None
        if held + length > size - OVERHEAD:
            packets.append(range(first, number))
            first, held = number, 0
        held += length
    packets.append(range(first, len(lengths)))
    decoded = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    return Packed(picture=decoded, packets=packets, size=(width, height))
