"""PNG written chunk by chunk."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import ImageCms

from diffc_stream.errors import DiffcError, UnreadablePicture
from diffc_stream.imaging import png as module
from diffc_stream.imaging.png import SIGNATURE
from diffc_stream.picture import load_picture

P3 = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


def chunk(kind: bytes, body: bytes, *, damaged: bool = False) -> bytes:
    check = zlib.crc32(kind + body) ^ damaged
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def png(
    *chunks: bytes,
    samples: Sequence[int] = (200, 100, 50),
    depth: int = 8,
    colour_type: int = 2,
    side: int = 4,
    after: bytes = b"",
) -> bytes:
    """A square of one colour, with more chunks before its pixels and after them."""
    header = struct.pack(">IIBBBBB", side, side, depth, colour_type, 0, 0, 0)
    bits = "".join(f"{sample:0{depth}b}" for sample in samples) * side
    bits += "0" * (-len(bits) % 8)
    row = b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    pixels = chunk(b"IDAT", zlib.compress(row * side))
    return b"".join(
        [SIGNATURE, chunk(b"IHDR", header), *chunks, pixels, after, chunk(b"IEND", b"")]
    )


def colour(data: bytes) -> list[int]:
    picture = load_picture(data)
    assert np.all(picture == picture[0, 0])
    return [int(value) for value in picture[0, 0]]


def profile(size: int) -> bytes:
    """A profile of sRGB, as large as it should be."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data += bytes(size - len(data))
    data[:4] = len(data).to_bytes(4, "big")
    return bytes(data)


def iccp(data: bytes) -> bytes:
    return chunk(b"iCCP", b"name\0\0" + zlib.compress(data))


LARGE = b"x" * (2**20 + 10)
NOISE = random.Random(1).randbytes(2**21).hex().encode()


@pytest.mark.parametrize(
    "more",
    [
        chunk(b"zTXt", b"key\0\0" + zlib.compress(LARGE)),
        chunk(b"iTXt", b"key\0\1\0\0\0" + zlib.compress(LARGE)),
        chunk(b"iTXt", b"key\0\0\0\0\0" + NOISE),
        chunk(b"tEXt", b"key\0" + NOISE),
        b"".join(chunk(b"tEXt", b"%d\0" % i + LARGE[:-100]) for i in range(40)),
        chunk(b"zTXt", b"key\0\0not zlib"),
        chunk(b"zTXt", b"key\0\7" + zlib.compress(b"text")),
        iccp(profile(2**21)),
        iccp(bytes(2**21)),
        chunk(b"iCCP", b"name\0\0not zlib"),
        chunk(b"tEXt", b"key\0value", damaged=True),
        chunk(b"tIME", bytes(7), damaged=True),
        chunk(b"gAMA", struct.pack(">I", 100_000), damaged=True),
        chunk(b"cICP", bytes([12, 13, 0, 1]), damaged=True),
        chunk(b"tRNS", struct.pack(">3H", 200, 100, 50), damaged=True),
        chunk(b"prVt", b"anything", damaged=True),
    ],
)
def test_what_nobody_needs_keeps_no_picture_from_being_shown(more: bytes) -> None:
    assert colour(png(more)) == pytest.approx([200, 100, 50], abs=1)
    assert colour(png(after=more)) == pytest.approx([200, 100, 50], abs=1)


def test_what_is_needed_must_be_whole() -> None:
    palette = chunk(b"PLTE", bytes([1, 2, 3]), damaged=True)
    with pytest.raises(UnreadablePicture, match="PNG that is not read, or damaged"):
        load_picture(png(palette, samples=[0], colour_type=3))


def test_a_large_profile_counts() -> None:
    swapped = bytearray(profile(2**21))
    red, green = swapped.index(b"rXYZ"), swapped.index(b"gXYZ")
    swapped[red : red + 4], swapped[green : green + 4] = b"gXYZ", b"rXYZ"
    small = bytes(swapped[:4000])
    expected = colour(png(iccp(len(small).to_bytes(4, "big") + small[4:])))
    assert expected[1] > expected[0]
    assert colour(png(iccp(bytes(swapped)))) == expected


def test_a_profile_beyond_the_limit_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PROFILE", 2**20)
    assert colour(png(iccp(profile(2**21)))) == [200, 100, 50]


def test_chunks_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CHUNKS", 50)
    with pytest.raises(UnreadablePicture, match="more than 50 chunks"):
        load_picture(png(chunk(b"tIME", bytes(7)) * 60))


def test_large_chunks_that_nobody_needs_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ANCILLARY", 100)
    assert colour(png(chunk(b"prVt", bytes(101)))) == [200, 100, 50]


CICP_P3 = chunk(b"cICP", bytes([12, 13, 0, 1]))


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([CICP_P3], [215, 93, 31]),
        ([chunk(b"cHRM", P3)], [215, 93, 31]),
        ([chunk(b"gAMA", struct.pack(">I", 45455)), chunk(b"cHRM", P3)], [215, 93, 31]),
        ([chunk(b"gAMA", struct.pack(">I", 45455))], [200, 100, 50]),
        ([chunk(b"gAMA", struct.pack(">I", 0))], [200, 100, 50]),
        ([chunk(b"cHRM", bytes(32))], [200, 100, 50]),
        ([chunk(b"gAMA", struct.pack(">I", 100_000))], [228, 168, 122]),
        # What says more counts.
        ([chunk(b"sRGB", b"\0"), chunk(b"cHRM", P3)], [200, 100, 50]),
        ([iccp(profile(4000)), chunk(b"cHRM", P3)], [200, 100, 50]),
        ([iccp(profile(4000)), CICP_P3], [215, 93, 31]),
        ([chunk(b"cICP", bytes([1, 13, 0, 1])), chunk(b"cHRM", P3)], [200, 100, 50]),
        ([chunk(b"cICP", bytes([12, 13]))], [200, 100, 50]),
    ],
)
def test_colour_as_it_is_told(chunks: list[bytes], expected: list[int]) -> None:
    assert colour(png(*chunks)) == pytest.approx(expected, abs=1)


def test_colour_of_other_kinds_of_pictures() -> None:
    linear = chunk(b"gAMA", struct.pack(">I", 100_000))
    for colour_type, samples in ((0, [128]), (4, [128, 255]), (6, [128, 128, 128, 255])):
        assert colour(png(linear, samples=samples, colour_type=colour_type)) == [188] * 3
    palette = chunk(b"PLTE", bytes([0, 0, 0, 128, 128, 128]))
    assert colour(png(linear, palette, samples=[1], colour_type=3)) == [188] * 3
    deep = [128 * 257] * 3
    assert colour(png(linear, samples=deep, depth=16)) == [188] * 3
    half = png(linear, samples=[*deep, 32768], depth=16, colour_type=6)
    assert colour(half) == pytest.approx([(188 + 255) // 2] * 3, abs=1)


def test_pq_of_all_depths() -> None:
    pq = chunk(b"cICP", bytes([9, 16, 0, 1]))
    assert colour(png(pq, samples=[148] * 3)) == [255] * 3
    # 100 nits, between two values of 8 bits.
    assert colour(png(pq, samples=[33297] * 3, depth=16)) == pytest.approx([185] * 3, abs=1)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_transparent_grey_of_every_depth(depth: int) -> None:
    most = (1 << depth) - 1
    for value in {0, 1, most // 2, most}:
        other = value ^ 1
        for key, seen in ((value, 255), (other, round(255 * value / most))):
            data = png(
                chunk(b"tRNS", struct.pack(">H", key)),
                samples=[value],
                depth=depth,
                colour_type=0,
            )
            assert colour(data) == pytest.approx([seen] * 3, abs=1)


def test_the_transparent_colour_of_every_depth() -> None:
    for depth, samples in ((8, (200, 100, 50)), (16, (51400, 25700, 12850))):
        key = chunk(b"tRNS", struct.pack(">3H", *samples))
        assert colour(png(key, samples=samples, depth=depth)) == [255] * 3
        # Of 16 bits, all count.
        near = (*samples[:2], samples[2] + 1)
        assert colour(png(key, samples=near, depth=depth)) == pytest.approx([200, 100, 50], abs=1)


def test_the_transparent_entry_of_a_palette() -> None:
    palette = chunk(b"PLTE", bytes([1, 2, 3, 200, 100, 50]))
    key = chunk(b"tRNS", bytes([0, 255]))
    assert colour(png(palette, key, samples=[0], colour_type=3)) == [255] * 3
    assert colour(png(palette, key, samples=[1], colour_type=3)) == [200, 100, 50]


def test_damaged_files_are_one_line() -> None:
    linear = chunk(b"gAMA", struct.pack(">I", 100_000))
    key = chunk(b"tRNS", struct.pack(">3H", 1, 2, 3))
    whole = png(linear, key, iccp(profile(4000)), samples=[1, 2, 3], depth=16)
    rng = np.random.default_rng(3)
    for _ in range(150):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] = rng.integers(256)
        for data in (bytes(damaged), whole[: rng.integers(len(whole))]):
            try:
                assert load_picture(io.BytesIO(data)).ndim == 3
            except DiffcError as error:
                assert "\n" not in str(error)
