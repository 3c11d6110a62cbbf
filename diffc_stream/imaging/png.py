"""Read what Pillow does not in PNG files: their colour, and files with harmless damage.

Large text and profiles, and damaged chunks that the pixels do not need, are skipped instead of
making the picture unreadable.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffc_stream.imaging import Unsupported
from diffc_stream.imaging.colour import Coding, calibrated, coding_of

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_CHUNKS = 250_000
"""Of a file; with the usual 8 KiB each they hold 2 GB."""
MOST_PROFILE = 2**24
"""Bytes of a colour profile; larger ones are ignored."""
MOST_ANCILLARY = 2**26
"""Most bytes of a chunk that the pixels do not need; larger ones are skipped."""
_MOST_TEXT = 2**20
"""Bytes of a text that Pillow takes, ..."""
_ALL_TEXT = 2**24
"""... and of all together."""
_TEXT = (b"tEXt", b"zTXt", b"iTXt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Png:
    """A PNG file in a form that Pillow reads correctly, and what else the file states."""

    file: BinaryIO
    depth: int
    """Bits of a sample."""
    colour_type: int
    """0 grey, 2 RGB, 3 a palette, 4 and 6 grey and RGB with alpha."""
    key: tuple[int, ...] | None
    """Samples of the colour that is transparent, of pictures without alpha."""
    profile: bytes | None
    """ICC, unless something that counts more is said."""
    coding: Coding | None
    """What the samples mean where no profile says so; None for sRGB."""

    @property
    def deep(self) -> bool:
        """Whether the samples are wider than what Pillow makes of them."""
        return self.depth == 16 and self.colour_type in (2, 6)

    def samples(self) -> NDArray[np.uint16]:
        """Return all of the samples, (H, W, 3 or 4), where they are deep.

        Raises what Pillow does for a damaged file.
        """
        # As if their bytes were swapped, Pillow keeps the other one.
        high, low = (np.asarray(self._read(order)).astype(np.uint16) for order in ("B", "L"))
        return np.bitwise_or(np.left_shift(high, np.uint16(8)), low)

    def _read(self, order: str) -> Image.Image:
        self.file.seek(0)
        image: Any = Image.open(self.file, formats=["PNG"])
        image.tile = [
            tile._replace(args=f"{image.mode};16{order}") if tile.codec_name == "zip" else tile
            for tile in image.tile
        ]
        image.load()
        copied: Image.Image = image.copy()
        return copied


def opened(file: BinaryIO) -> Png:
    """Look through a file that begins as PNG does.

    Raises Unsupported if it has more chunks than any picture needs, or OSError.
    """
    found = _Found()
    kept: list[_Chunk] = []
    for chunk in _chunks(file):
        if _is_kept(file, chunk, found):
            kept.append(chunk)
        else:
            found.left_out = True
    file.seek(0)
    clean = _without(file, kept) if found.left_out else file
    profile = None if found.cicp is not None else found.profile
    return Png(
        file=clean,
        depth=found.depth,
        colour_type=found.colour_type,
        key=found.key,
        profile=profile,
        coding=None if profile else _coding(found),
    )


class _Chunk(NamedTuple):
    kind: bytes
    at: int
    """Where its length stands."""
    length: int


@dataclass(slots=True)
class _Found:
    """What there is in a file."""

    depth: int = 8
    colour_type: int = 2
    key: tuple[int, ...] | None = None
    profile: bytes | None = None
    cicp: bytes | None = None
    srgb: bool = False
    gamma: int | None = None
    chromaticities: tuple[int, ...] | None = None
    text: int = 0
    """Bytes of text that Pillow is given."""
    left_out: bool = False


def _chunks(file: BinaryIO) -> Iterator[_Chunk]:
    at = len(SIGNATURE)
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        yield _Chunk(kind, at, length)
        if kind == b"IEND":
            return
        at += 12 + length
    raise Unsupported(f"a PNG of more than {MOST_CHUNKS:,} chunks")


def _is_kept(file: BinaryIO, chunk: _Chunk, found: _Found) -> bool:
    """Look at a chunk, and return whether Pillow should see it."""
    kind, at, length = chunk
    if kind == b"IHDR":
        file.seek(at + 8)
        header = file.read(10)
        if len(header) == 10:
            found.depth, found.colour_type = header[8], header[9]
        return True
    if not kind[0] & 0x20:
        return True  # The picture needs these.
    if length > MOST_ANCILLARY:
        return False
    file.seek(at + 4)
    data = file.read(length + 8)
    if len(data) < length + 8 or zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "big"):
        return False
    body = data[4:-4]
    if kind in _TEXT:
        size = _text_size(kind, body)
        if size is None or size > _MOST_TEXT:
            return False
        found.text += size
        return found.text <= _ALL_TEXT
    if kind == b"iCCP":
        found.profile = _profile(body)
        return found.profile is not None and len(found.profile) < _MOST_TEXT
    if kind == b"cICP" and length == 4:
        found.cicp = body
    elif kind == b"sRGB":
        found.srgb = True
    elif kind == b"gAMA" and length == 4:
        found.gamma = int.from_bytes(body, "big")
    elif kind == b"cHRM" and length == 32:
        found.chromaticities = struct.unpack(">8i", body)
    elif kind == b"tRNS" and found.colour_type in (0, 2):
        many = 1 if found.colour_type == 0 else 3
        if length == 2 * many:
            mask = (1 << found.depth) - 1
            found.key = tuple(value & mask for value in struct.unpack(f">{many}H", body))
    return True


def _coding(found: _Found) -> Coding | None:
    if found.cicp is not None:
        return coding_of(found.cicp[0], found.cicp[1])
    if found.srgb:
        return None
    white_first = [value / 100_000 for value in found.chromaticities or ()]
    return calibrated(
        100_000 / found.gamma if found.gamma else None,
        [*white_first[2:], *white_first[:2]] if white_first else None,
    )


def _text_size(kind: bytes, body: bytes) -> int | None:
    """Return how many bytes a text has, as far as anybody needs to know; None of what is none."""
    rest = body.partition(b"\0")[2]
    method, packed = rest[:1], rest[1:]
    if kind == b"iTXt":
        method, packed = rest[1:2], rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    if kind == b"tEXt" or (kind == b"iTXt" and rest[:1] == b"\0"):
        return len(body)
    unpacked = _unpacked(packed, _MOST_TEXT + 1) if method == b"\0" else None
    return None if unpacked is None else len(body) + len(unpacked)


def _profile(body: bytes) -> bytes | None:
    packed = body.partition(b"\0")[2][1:]
    profile = _unpacked(packed, MOST_PROFILE + 1)
    return profile if profile and len(profile) <= MOST_PROFILE else None


def _unpacked(packed: bytes, most: int) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(packed, most)
    except zlib.error:
        return None


def _without(file: BinaryIO, kept: list[_Chunk]) -> BinaryIO:
    """Return a file in memory with only the chunks ``kept``."""
    out = io.BytesIO()
    out.write(SIGNATURE)
    for chunk in kept:
        file.seek(chunk.at)
        out.write(file.read(12 + chunk.length))
    out.seek(0)
    return out
