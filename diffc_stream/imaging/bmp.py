"""Read what Pillow ignores in BMP files: alpha masks of the first kind, and colour."""

from __future__ import annotations

import io
import struct
from typing import BinaryIO

from diffc_stream.imaging.boxes import Told
from diffc_stream.imaging.colour import calibrated

MOST_BYTES = 2**31
"""Of a file that has to be rewritten."""
MOST_PROFILE = 2**24
"""Bytes."""
_FILE = 14
"""Bytes before the header of the picture."""
_INFO, _WITH_MASKS, _V4, _V5 = 40, 56, 108, 124
_BITFIELDS, _ALPHA_BITFIELDS = 3, 6
_CALIBRATED, _EMBEDDED = 0, 0x4D424544


def opened(file: BinaryIO) -> tuple[BinaryIO, Told]:
    """Return the file in a form that Pillow reads correctly, and the colour that it states."""
    file.seek(0)
    head = file.read(_FILE + _V5)
    file.seek(0)
    if len(head) < _FILE + _INFO:
        return file, Told()
    (size,) = struct.unpack_from("<I", head, _FILE)
    (compression,) = struct.unpack_from("<I", head, _FILE + 16)
    told = _told(file, head, size)
    file.seek(0)
    if compression != _ALPHA_BITFIELDS:
        return file, told
    # With the masks that follow it, that header is one of a later version.
    data = bytearray(file.read(MOST_BYTES))
    struct.pack_into("<I", data, _FILE + 16, _BITFIELDS)
    if size == _INFO:
        struct.pack_into("<I", data, _FILE, _WITH_MASKS)
    return io.BytesIO(data), told


def _told(file: BinaryIO, head: bytes, size: int) -> Told:
    if size < _V4 or len(head) < _FILE + _V4:
        return Told()
    (space,) = struct.unpack_from("<I", head, _FILE + 56)
    if space == _EMBEDDED and size >= _V5 and len(head) >= _FILE + _V5:
        offset, length = struct.unpack_from("<II", head, _FILE + 112)
        if 0 < length <= MOST_PROFILE:
            file.seek(_FILE + offset)
            return Told(profile=file.read(length))
    if space == _CALIBRATED:
        ends = [value / 2**30 for value in struct.unpack_from("<9i", head, _FILE + 60)]
        exponents = [value / 2**16 for value in struct.unpack_from("<3I", head, _FILE + 96)]
        primaries = [ends[i : i + 3] for i in (0, 3, 6)]
        colours = [*primaries, [sum(axis) for axis in zip(*primaries, strict=True)]]
        if all(sum(colour) > 0 for colour in colours):
            places = [part / sum(colour) for colour in colours for part in colour[:2]]
            return Told(coding=calibrated(exponents[1] or None, places))
    return Told()
