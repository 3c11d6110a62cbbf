"""Pictures as phones make them, for readers to be tested without an encoder for them.

    python tests/vectors/heic.py

Needs pillow-heif, of the extra ``bench``: it brings an encoder, which is under the GPL.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "support"))

from picture_files import rgb_profile  # noqa: E402

WIDTH, HEIGHT = 24, 16
COLOUR = (200, 100, 50)


def turned(data: bytes, *, quarters: int) -> bytes:
    """Return a file of one picture, to be shown turned anticlockwise: what a phone held upright
    writes, and pillow-heif does not.

    The property goes to the end of the list of properties, and its number to the end of the
    picture's; all that holds them grows, and what comes after them moves.
    """
    grown = bytearray(data)
    associations = data.index(b"ipma") - 4  # right after the properties
    number = data[associations + 18]
    grown[associations + 18] = number + 1
    end = associations + int.from_bytes(data[associations : associations + 4], "big")
    grown[end:end] = bytes([0x80 | number + 1])
    grown[associations:associations] = b"\0\0\0\x09irot" + bytes([quarters])
    more = {b"ipco": 9, b"ipma": 1, b"iprp": 10, b"meta": 10}
    for name, bytes_more in more.items():
        at = grown.index(name) - 4
        size = int.from_bytes(grown[at : at + 4], "big") + bytes_more
        grown[at : at + 4] = size.to_bytes(4, "big")
    begin = data.index(b"mdat") + 4
    at = data.index(begin.to_bytes(4, "big"), data.index(b"iloc"))
    grown[at : at + 4] = (begin + 10).to_bytes(4, "big")
    return bytes(grown)


pillow_heif.register_heif_opener()
plain = Image.new("RGB", (WIDTH, HEIGHT), COLOUR)
lossless: dict[str, Any] = {"quality": -1, "chroma": 444, "matrix_coefficients": 0}

plain.save(HERE / "plain.heic", **lossless)
plain.save(HERE / "profile.heic", icc_profile=rgb_profile(1.0), **lossless)
plain.convert("L").save(HERE / "grey.heic", quality=-1)

# Bright on top as it lies; a quarter turn clockwise has it on the right.
lying = Image.new("RGB", (WIDTH, HEIGHT), "black")
lying.paste("white", (0, 0, WIDTH, HEIGHT // 2))
buffer = io.BytesIO()
lying.save(buffer, "HEIF", **lossless)
(HERE / "turned.heic").write_bytes(turned(buffer.getvalue(), quarters=3))

# Ten bits a channel; the left half lets half of the paper through.
deep = np.empty((HEIGHT, WIDTH, 4), np.uint16)
deep[:, :, :3] = np.array(COLOUR) * 257
deep[:, :, 3] = 65535
deep[:, : WIDTH // 2, 3] = 32768
pillow_heif.encode(
    "RGBA;16", (WIDTH, HEIGHT), deep.tobytes(), str(HERE / "deep.heic"), quality=-1, chroma=444
)
