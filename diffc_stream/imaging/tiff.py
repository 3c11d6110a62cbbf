"""Read TIFF files that Pillow does not: the right directory, and more kinds of samples.

These kinds are RGB and grey with alpha of 16, 32 and 64 bits and of floats, and BigTIFF of the
other byte order.  Strips and tiles are decompressed by Pillow's libtiff.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffc_stream.imaging import Unsupported
from diffc_stream.imaging.depth import FLOAT, INTEGER, eight_bits

MOST_DIRECTORIES = 64
"""That are looked for a picture in."""
MOST_ENTRIES = 4096
"""Of a directory."""
MOST_BYTES = 2**24
"""Of an entry: a list of strips, or a profile."""
MOST_SAMPLES = 2**31
"""Bytes that samples may take."""

_SIZES = dict(
    zip(range(1, 19), (1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8), strict=True)
)
_CODES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q"}
_CODES |= {17: "q", 18: "Q"}
(_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION) = (254, 255, 256, 257, 258, 259)
(_PHOTOMETRIC, _STRIPS, _ORIENTATION, _SAMPLES, _ROWS, _STRIP_BYTES) = (
    262,
    273,
    274,
    277,
    278,
    279,
)
(_PLANAR, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES) = (
    284,
    317,
    322,
    323,
    324,
    325,
)
(_DIRECTORIES_BELOW, _EXTRA, _FORMAT, _PROFILE) = (330, 338, 339, 34675)
_NONE, _LZW, _DEFLATE = 1, 5, (8, 32946)
_COMPRESSIONS = {
    2: "CCITT",
    3: "CCITT",
    4: "CCITT",
    5: "LZW",
    6: "JPEG",
    7: "JPEG",
    32773: "PackBits",
}
_ALPHA, _ASSOCIATED = (1, 2), 1


class Directory(NamedTuple):
    """What a file says of one picture in it."""

    at: int
    entries: dict[int, tuple[Any, ...]]

    def one(self, tag: int, usual: int) -> int:
        """Return a number."""
        values = self.entries.get(tag)
        return int(values[0]) if values else usual

    @property
    def reduced(self) -> bool:
        """Whether it is a smaller copy of another, or a mask."""
        kind = self.one(_SUBFILE, 0)
        return bool(kind & 5) or (_SUBFILE not in self.entries and self.one(_OLD_SUBFILE, 1) == 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiff:
    """Where in a file the picture is, and how."""

    order: str
    """Of bytes, as struct has it."""
    big: bool
    first: Directory
    """The first directory, which is what Pillow shows."""
    full: Directory
    """The first that is no reduced copy."""
    place: int | None
    """How many come before that in the chain; None if it is below another."""

    @property
    def white_is_least(self) -> bool:
        """Whether the least sample of grey is white."""
        return self.full.one(_PHOTOMETRIC, 1) == 0

    @property
    def misread(self) -> bool:
        """Whether Pillow takes it for something else: numbers without a sign for signed ones."""
        return (
            self.bits == 32 and self.full.one(_FORMAT, 1) == 1 and self.full.one(_SAMPLES, 1) == 1
        )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, in pixels; may be anything."""
        return self.full.one(_WIDTH, 0), self.full.one(_HEIGHT, 0)

    @property
    def bits(self) -> int:
        """Bits of a sample."""
        return self.full.one(_BITS, 1)


def looked_at(file: BinaryIO) -> Tiff | None:
    """Find the picture in a TIFF file; None if there is none, or the file is damaged."""
    try:
        order, big, at = _header(file)
        directories = list(_chain(file, order, big, at))
    except (struct.error, ValueError, OverflowError):
        return None
    if not directories:
        return None
    first = directories[0]
    for place, directory in enumerate(directories):
        if not directory.reduced:
            return Tiff(order=order, big=big, first=first, full=directory, place=place)
    for directory in _below(file, order, big, directories):
        if not directory.reduced:
            return Tiff(order=order, big=big, first=first, full=directory, place=None)
    return Tiff(order=order, big=big, first=first, full=first, place=0)


def beginning_with(file: BinaryIO, tiff: Tiff) -> BinaryIO:
    """Return a copy of the file, in memory, whose first directory is that of the full picture."""
    file.seek(0)
    data = file.read(MOST_SAMPLES)
    pointer = struct.pack(f"{tiff.order}{'Q' if tiff.big else 'I'}", tiff.full.at)
    start = 8 if tiff.big else 4
    return io.BytesIO(data[:start] + pointer + data[start + len(pointer) :])


def decoded(file: BinaryIO, tiff: Tiff) -> Image.Image:
    """Return a picture of a kind that Pillow does not read, with 8 bits per sample.

    The caller must have checked that it has pixels, and not too many.  Raises Unsupported, which
    says what is not supported, and all kinds of errors for damaged files.
    """
    directory = tiff.full
    layout = _layout(tiff)
    values = _values(file, directory, layout)
    colours, alpha = values[..., : layout.colours], None
    if layout.alpha is not None:
        alpha = _scaled(values[..., layout.colours], layout)
    shown = _scaled(colours, layout)
    if directory.one(_PHOTOMETRIC, 1) == 0:
        shown = 255 - shown
    if alpha is not None and layout.alpha == _ASSOCIATED:
        some = np.maximum(alpha, 1).astype(np.float32)[..., np.newaxis]
        shown = np.minimum(shown * (255.0 / some) + 0.5, 255.0).astype(np.uint8)
    planes = [shown[..., i] for i in range(layout.colours)] + ([] if alpha is None else [alpha])
    bands = [Image.fromarray(np.ascontiguousarray(plane)) for plane in planes]
    mode = ("L" if layout.colours == 1 else "RGB") + ("" if alpha is None else "A")
    image = Image.merge(mode, bands) if len(bands) > 1 else bands[0]
    if profile := directory.entries.get(_PROFILE):
        image.info["icc_profile"] = bytes(profile)
    image.getexif()[_ORIENTATION] = directory.one(_ORIENTATION, 1)
    return image


class _Layout(NamedTuple):
    width: int
    height: int
    bits: int
    """Of a sample."""
    dtype: np.dtype[Any]
    samples: int
    colours: int
    alpha: int | None
    """Its kind."""
    planes: bool
    """Whether samples of a kind lie together."""


def _layout(tiff: Tiff) -> _Layout:
    directory = tiff.full
    width, height = tiff.size
    samples = directory.one(_SAMPLES, 1)
    photometric = directory.one(_PHOTOMETRIC, 1)
    bits = set(directory.entries.get(_BITS, (1,)))
    formats = set(directory.entries.get(_FORMAT, (1,)))
    extra = directory.entries.get(_EXTRA, ())
    colours = {0: 1, 1: 1, 2: 3}.get(photometric)
    known = {(bits, 1) for bits in (*range(1, 17), 32, 64)} | {(16, 3), (32, 3), (64, 3)}
    [(width_of, kind), *more] = [(b, f) for b in bits for f in formats]
    if colours is None or more or (width_of, kind) not in known or not 0 <= samples - colours <= 1:
        what = "floats" if kind == 3 else "signed numbers" if kind == 2 else "samples"
        wide = " or ".join(str(b) for b in sorted(bits))
        raise Unsupported(
            f"a TIFF of {samples} {what} a pixel, of {wide} bits, is not supported"
            if colours is not None
            else f"a TIFF of the colour space {photometric} is not supported"
        )
    if width * height * samples * width_of // 8 > MOST_SAMPLES:
        raise Unsupported(f"a TIFF of {samples} x {width_of} bits a pixel, so large")
    kind_of = extra[0] if samples > colours and extra else None
    return _Layout(
        width=width,
        height=height,
        bits=width_of,
        # What fills no whole bytes is taken out of them.
        dtype=np.dtype(
            f"{tiff.order}{'f' if kind == 3 else 'u'}{width_of // 8}"
            if width_of % 8 == 0
            else "=u2"
        ),
        samples=samples,
        colours=colours,
        alpha=kind_of if kind_of in _ALPHA else None,
        planes=directory.one(_PLANAR, 1) == 2 and samples > 1,
    )


def _values(file: BinaryIO, directory: Directory, layout: _Layout) -> NDArray[Any]:
    """Return the samples, (H, W, samples)."""
    tiled = _TILES in directory.entries
    offsets = directory.entries.get(_TILES if tiled else _STRIPS, ())
    counts = directory.entries.get(_TILE_BYTES if tiled else _STRIP_BYTES, ())
    wide = directory.one(_TILE_WIDTH, 0) if tiled else layout.width
    high = directory.one(_TILE_HEIGHT, 0) if tiled else directory.one(_ROWS, layout.height)
    high = min(high, layout.height) if not tiled else high
    if not 1 <= wide <= 65_536 + layout.width or not 1 <= high <= 65_536 + layout.height:
        raise Unsupported("a damaged TIFF: parts of no size")
    across, down = math.ceil(layout.width / wide), math.ceil(layout.height / high)
    planes = layout.samples if layout.planes else 1
    within = 1 if layout.planes else layout.samples
    if len(offsets) < across * down * planes or len(counts) < across * down * planes:
        raise Unsupported("a damaged TIFF: parts are missing")
    if wide * high * within * layout.dtype.itemsize > MOST_SAMPLES:
        raise Unsupported("a damaged TIFF: parts of too large a size")
    out = np.empty((layout.height, layout.width, layout.samples), layout.dtype.newbyteorder("="))
    for number in range(across * down * planes):
        plane, place = divmod(number, across * down)
        top, left = place // across * high, place % across * wide
        rows = high if tiled else min(high, layout.height - top)
        file.seek(offsets[number])
        part = _part(file.read(min(counts[number], MOST_SAMPLES)), directory, layout, rows, wide)
        target = out[top : top + rows, left : left + wide]
        seen = part[: target.shape[0], : target.shape[1]]
        target[..., plane : plane + 1 if layout.planes else None] = seen
    return out


def _part(data: bytes, directory: Directory, layout: _Layout, rows: int, wide: int) -> NDArray[Any]:
    """Return the samples of a strip or tile, (rows, wide, samples in it)."""
    within = 1 if layout.planes else layout.samples
    size = layout.dtype.itemsize
    stride = -(-wide * within * layout.bits // 8)
    raw = np.frombuffer(_inflated(data, directory, rows, stride), np.uint8)
    predicted = directory.one(_COMPRESSION, 1) in (_LZW, *_DEFLATE)
    match directory.one(_PREDICTOR, 1) if predicted else 1:
        case 1 if layout.bits % 8:
            single = np.unpackbits(raw.reshape(rows, stride), axis=1)
            single = single[:, : wide * within * layout.bits].reshape(rows, -1, layout.bits)
            weights = 1 << np.arange(layout.bits, dtype=np.uint16)[::-1]
            return (single @ weights).reshape(rows, wide, within)
        case 1:
            return raw.view(layout.dtype).reshape(rows, wide, within)
        case 2 if layout.dtype.kind == "u":
            values = raw.view(layout.dtype).reshape(rows, wide, within)
            return np.cumsum(values, axis=1, dtype=layout.dtype.newbyteorder("="))
        case 3 if layout.dtype.kind == "f":
            # Differences of bytes, of which those of a weight lie together, the greatest first.
            summed = np.cumsum(raw.reshape(rows, wide * size, within), axis=1, dtype=np.uint8)
            apart = summed.reshape(rows, size, wide * within).transpose(0, 2, 1)
            values = np.ascontiguousarray(apart).view(f">f{size}")
            return values.reshape(rows, wide, within)
    raise Unsupported("a TIFF of this kind of prediction is not supported")


def _inflated(data: bytes, directory: Directory, rows: int, stride: int) -> bytes:
    """Return so many rows of bytes."""
    compression, size = directory.one(_COMPRESSION, 1), rows * stride
    if compression == _NONE:
        found = data[:size]
    elif compression in _DEFLATE:
        found = zlib.decompressobj().decompress(data, size)
    else:
        found = _by_libtiff(data, compression, rows, stride)
    if len(found) < size:
        raise Unsupported("a truncated TIFF")
    return found


def _by_libtiff(data: bytes, compression: int, rows: int, stride: int) -> bytes:
    """Decompress with libtiff, as a grey picture whose pixels are the bytes wanted."""
    entries: tuple[tuple[int, int], ...]
    entries = ((256, stride), (257, rows), (258, 8), (259, compression), (262, 1))
    entries += ((273, 8 + 2 + 12 * 8 + 4), (278, rows), (279, len(data)))
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    made = struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + table + bytes(4) + data
    try:
        with Image.open(io.BytesIO(made), formats=["TIFF"]) as image:
            return image.tobytes()
    except (OSError, SyntaxError, ValueError) as error:
        name = _COMPRESSIONS.get(compression, f"number {compression}")
        raise Unsupported(f"a TIFF whose compression ({name}) cannot be undone") from error


def _scaled(values: NDArray[Any], layout: _Layout) -> NDArray[np.uint8]:
    if values.dtype.kind == "f":
        return eight_bits(values, FLOAT)
    if layout.bits > 16 and layout.samples == 1:
        return eight_bits(values, INTEGER)  # Usually counts of something.
    return np.round(values * (255.0 / ((1 << layout.bits) - 1))).astype(np.uint8)


def _header(file: BinaryIO) -> tuple[str, bool, int]:
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}[head[:2]] if head[:2] in (b"II", b"MM") else ""
    if not order:
        raise ValueError("not a TIFF")
    (version,) = struct.unpack_from(f"{order}H", head, 2)
    if version == 43:
        return order, True, int(struct.unpack_from(f"{order}Q", head, 8)[0])
    return order, False, int(struct.unpack_from(f"{order}I", head, 4)[0])


def _chain(file: BinaryIO, order: str, big: bool, at: int) -> Iterator[Directory]:
    seen: set[int] = set()
    while at and at not in seen and len(seen) < MOST_DIRECTORIES:
        seen.add(at)
        try:
            directory, following = _directory(file, order, big, at)
        except struct.error:
            return  # The directories before it are used.
        yield directory
        at = following


def _below(
    file: BinaryIO, order: str, big: bool, directories: list[Directory]
) -> Iterator[Directory]:
    places = [at for one in directories for at in one.entries.get(_DIRECTORIES_BELOW, ())]
    for at in places[:MOST_DIRECTORIES]:
        try:
            yield _directory(file, order, big, int(at))[0]
        except (struct.error, ValueError, OverflowError):
            continue


def _directory(file: BinaryIO, order: str, big: bool, at: int) -> tuple[Directory, int]:
    file.seek(at)
    (count,) = struct.unpack(f"{order}{'Q' if big else 'H'}", file.read(8 if big else 2))
    if count > MOST_ENTRIES:
        raise ValueError("a directory of too many entries")
    size, inline = (20, 8) if big else (12, 4)
    table = file.read(size * count)
    tail = file.read(8 if big else 4)
    (following,) = struct.unpack(f"{order}{'Q' if big else 'I'}", tail) if tail else (0,)
    entries: dict[int, tuple[Any, ...]] = {}
    for start in range(0, size * count, size):
        tag, kind, many = struct.unpack_from(f"{order}HH{'Q' if big else 'I'}", table, start)
        length = _SIZES.get(kind, 0) * many
        if not 0 < length <= MOST_BYTES:
            continue
        place = start + size - inline
        data = table[place : place + length]
        if length > inline:
            (offset,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", table, place)
            file.seek(offset)
            data = file.read(length)
        if len(data) < length:
            continue
        if kind in (2, 7):
            entries[tag] = tuple(data)
        elif kind in _CODES:
            entries[tag] = struct.unpack(f"{order}{many}{_CODES[kind]}", data)
    return Directory(at, entries), following
