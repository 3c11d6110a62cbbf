"""Colour as AVIF, HEIF and JPEG 2000 tell it, in boxes put there by hand."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from diffc_stream.imaging.boxes import NOTHING, of_heif, of_jp2
from diffc_stream.picture import load_picture

HEIC = Path(__file__).parent / "vectors" / "plain.heic"
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def nclx(primaries: int, transfer: int) -> bytes:
    return box(b"colr", b"nclx" + struct.pack(">HHHB", primaries, transfer, 6, 0x80))


def heif(*properties: bytes, mine: list[int], others: tuple[int, ...] = ()) -> bytes:
    """The boxes of a file whose primary picture is the second one."""
    associated = struct.pack(">II", 0, 2)
    for item, numbers in ((1, others), (2, mine)):
        associated += struct.pack(">HB", item, len(numbers)) + bytes(numbers)
    ipco = box(b"ipco", b"".join(properties))
    iprp = box(b"iprp", ipco + box(b"ipma", associated))
    pitm = box(b"pitm", struct.pack(">IH", 0, 2))
    return box(b"ftyp", b"avif" + bytes(4)) + box(b"meta", bytes(4) + pitm + iprp)


def test_the_primary_pictures_colour_counts() -> None:
    file = io.BytesIO(heif(nclx(9, 16), box(b"pixi", b""), nclx(12, 13), mine=[2, 3], others=(1,)))
    told = of_heif(file)
    assert told.profile is None
    assert told.coding is not None
    assert told.coding.primaries[0] == 0.68
    assert of_heif(io.BytesIO(heif(nclx(12, 13), nclx(1, 13), mine=[2]))) == NOTHING
    both = heif(nclx(12, 13), box(b"colr", b"prof" + PROFILE), mine=[1, 2])
    assert of_heif(io.BytesIO(both)).profile == PROFILE


def test_damaged_boxes_say_nothing() -> None:
    whole = heif(nclx(12, 13), mine=[1])
    rng = np.random.default_rng(1)
    for length in range(len(whole)):
        of_heif(io.BytesIO(whole[:length]))
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] = rng.integers(256)
        of_heif(io.BytesIO(damaged))
        of_jp2(io.BytesIO(damaged))
    assert of_heif(io.BytesIO(heif(nclx(12, 13), mine=[9]))) == NOTHING
    huge = struct.pack(">I4sQ", 1, b"meta", 2**60)
    assert of_heif(io.BytesIO(huge)) == NOTHING


def test_avif_is_shown_as_told() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 100, 50)).save(
        buffer, "AVIF", quality=100, subsampling="4:4:4"
    )
    data = buffer.getvalue()
    plain = load_picture(data)[8, 8]
    at = data.index(b"colrnclx") + 8
    told = data[:at] + struct.pack(">HH", 12, 13) + data[at + 4 :]
    assert load_picture(told)[8, 8] == pytest.approx([215, 93, 31], abs=3)
    assert plain == pytest.approx([200, 100, 50], abs=3)
    # 203 nits are white.
    grey = io.BytesIO()
    Image.new("RGB", (16, 16), (148, 148, 148)).save(grey, "AVIF", quality=100)
    data = grey.getvalue()
    told = data[:at] + struct.pack(">HH", 9, 16) + data[at + 4 :]
    assert load_picture(told)[8, 8] == pytest.approx([255] * 3, abs=3)


def test_heic_is_shown_as_told() -> None:
    data = HEIC.read_bytes()
    at = data.find(b"colrnclx")
    assert at > 0
    told = data[: at + 8] + struct.pack(">HH", 12, 13) + data[at + 12 :]
    assert load_picture(told)[8, 8] == pytest.approx([215, 93, 31], abs=3)


def jp2(colour: bytes) -> bytes:
    """A JP2 file of one colour, which tells it so."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 100, 50)).save(buffer, "JPEG2000")
    data = buffer.getvalue()
    header = data.index(b"jp2h") - 4
    length = int.from_bytes(data[header : header + 4], "big")
    at = data.index(b"colr") - 4
    old = int.from_bytes(data[at : at + 4], "big")
    new = box(b"colr", colour)
    sized = struct.pack(">I", length + len(new) - old)
    return data[:header] + sized + data[header + 4 : at] + new + data[at + old :]


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        (bytes([1, 0, 0]) + struct.pack(">I", 16), [200, 100, 50]),
        (bytes([1, 0, 0]) + struct.pack(">I", 21), None),
        (bytes([5, 0, 0, 12, 13, 0, 1]), [215, 93, 31]),
        (bytes([2, 0, 0]) + PROFILE, [200, 100, 50]),
        (
            bytes([2, 0, 0])
            + PROFILE.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ"),
            None,
        ),
        (bytes([2, 0, 0]) + b"no profile", [200, 100, 50]),
        (bytes([9, 0, 0, 0, 0, 0, 16]), [200, 100, 50]),
    ],
)
def test_jp2_is_shown_as_told(colour: bytes, expected: list[int] | None) -> None:
    shown = load_picture(jp2(colour))[4, 4].astype(int)
    if expected is None:
        assert np.abs(shown - [200, 100, 50]).max() > 20
    else:
        assert shown == pytest.approx(expected, abs=1)


def test_a_jp2_whose_boxes_end_in_the_middle() -> None:
    whole = box(b"jp2h", box(b"colr", bytes([1, 0, 0])))
    assert of_jp2(io.BytesIO(whole)) == NOTHING
