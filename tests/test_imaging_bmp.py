"""BMP written by hand."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import ImageCms

from diffc_stream.errors import DiffcError
from diffc_stream.picture import load_picture

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
MASKS = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)


def bmp(compression: int, more: bytes = b"", *, size: int = 40, pixel: bytes) -> bytes:
    header = struct.pack("<IiiHHIIiiII", size, 4, 4, 1, 32, compression, 64, 0, 0, 0, 0)
    start = 14 + len(header) + len(more)
    end = struct.pack("<2sIHHI", b"BM", start + 64, 0, 0, start)
    return end + header + more + 16 * pixel


def colour(data: bytes) -> list[int]:
    picture = load_picture(data)
    assert np.all(picture == picture[0, 0])
    return [int(value) for value in picture[0, 0]]


@pytest.mark.parametrize(("alpha", "expected"), [(255, [200, 100, 50]), (0, [255] * 3)])
def test_masks_with_alpha(alpha: int, expected: list[int]) -> None:
    pixel = bytes([50, 100, 200, alpha])
    assert colour(bmp(6, MASKS, pixel=pixel)) == expected
    assert colour(bmp(6, MASKS, size=56, pixel=pixel)) == expected
    assert colour(bmp(3, MASKS, size=56, pixel=pixel)) == expected
    swapped = struct.pack("<4I", 0xFF, 0xFF00, 0xFF0000, 0xFF000000)
    assert colour(bmp(6, swapped, pixel=bytes([200, 100, 50, alpha]))) == expected


def v4(space: int, ends: list[float], gamma: float, more: bytes = b"") -> bytes:
    colours = struct.pack("<9i", *(round(2**30 * value) for value in ends))
    return (
        MASKS
        + struct.pack("<I", space)
        + colours
        + struct.pack("<3I", *[round(65536 * gamma)] * 3)
        + more
    )


PIXEL = bytes([50, 100, 200, 255])
P3 = [0.4866, 0.2290, 0.0, 0.2657, 0.6917, 0.0451, 0.1982, 0.0793, 1.0439]


def test_colour_as_it_is_told() -> None:
    assert colour(bmp(3, v4(0, P3, 2.2), size=108, pixel=PIXEL)) == pytest.approx(
        [215, 93, 31], abs=1
    )
    assert colour(bmp(3, v4(0, [0.0] * 9, 0.0), size=108, pixel=PIXEL)) == [200, 100, 50]
    assert colour(bmp(3, v4(0x73524742, P3, 1.0), size=108, pixel=PIXEL)) == [200, 100, 50]


def test_a_profile_within() -> None:
    swapped = PROFILE.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")
    for profile, expected in (
        (PROFILE, [200, 100, 50]),
        (swapped, None),
        (b"none", [200, 100, 50]),
    ):
        place = 124 + 64
        tail = struct.pack("<4I", 4, place, len(profile), 0)
        header = v4(0x4D424544, [0.0] * 9, 0.0, tail)
        seen = colour(bmp(3, header, size=124, pixel=PIXEL) + profile)
        if expected is None:
            assert seen[1] > seen[0]
        else:
            assert seen == expected


def test_damaged_files_are_one_line() -> None:
    whole = bmp(6, MASKS, pixel=PIXEL)
    rng = np.random.default_rng(3)
    for _ in range(200):
        damaged = bytearray(whole)
        for place in rng.integers(0, 70, 3):
            damaged[place] = rng.integers(256)
        for data in (bytes(damaged), whole[: rng.integers(len(whole))]):
            try:
                assert load_picture(data).ndim == 3
            except DiffcError as error:
                assert "\n" not in str(error)
