"""Files of pictures, and colour profiles, made in memory."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffc_stream.picture import load_picture

SRGB_PRIMARIES = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7139))
"""Adapted to D50, as profiles have them."""


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(rng_seed: int = 0, height: int = 6, width: int = 9) -> NDArray[np.uint8]:
    return np.random.default_rng(rng_seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def colour_of(data: bytes) -> list[int]:
    picture = load_picture(data)
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    colour = picture[0, 0].tolist()
    assert np.all(picture == picture[0, 0])
    return list(colour)


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header promises ``width`` x ``height`` and that holds no pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def icc(space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """The smallest colour profile that holds these tags."""
    tags = {b"wtpt": xyz(0.9642, 1.0, 0.8249), **tags}
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(
        ">I4xI4s4s4s12x4s", start + len(body), 0x02400000, b"prtr", space, connection, b"acsp"
    )
    header = header.ljust(68, b"\0") + struct.pack(">iii", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + body


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(65536 * v) for v in values))


def gamma(exponent: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(256 * exponent))


def rgb_profile(exponent: float) -> bytes:
    tags = {b"%cTRC" % c: gamma(exponent) for c in b"rgb"}
    tags |= {b"%cXYZ" % c: xyz(*p) for c, p in zip(b"rgb", SRGB_PRIMARIES, strict=True)}
    return icc(b"RGB ", b"XYZ ", tags)


def grey_profile(exponent: float) -> bytes:
    return icc(b"GRAY", b"XYZ ", {b"kTRC": gamma(exponent)})


def cmyk_profile() -> bytes:
    """Inks of which black darkens and the others do nothing."""
    ramp = bytes(range(256))
    identity = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    grid = b"".join(bytes([0 if node & 1 else 255, 128, 128]) for node in range(16))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + 4 * ramp + grid + 3 * ramp
    return icc(b"CMYK", b"Lab ", {b"A2B0": table})
