"""JPEG XL says how large it is before anything is decoded."""

from __future__ import annotations

import io
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from diffc_stream.errors import UnreadablePicture
from diffc_stream.imaging import Unsupported
from diffc_stream.imaging.jxl import size_of
from diffc_stream.picture import load_picture


def header(*fields: tuple[int, int]) -> bytes:
    """A codestream that begins with fields of so many bits."""
    value, at = 0, 0
    for number, bits in fields:
        value |= number << at
        at += bits
    return b"\xff\x0a" + value.to_bytes(16, "little")


def contained(codestream: bytes, kind: bytes = b"jxlc") -> bytes:
    boxes = ((b"JXL ", b"\r\n\x87\n"), (b"ftyp", b"jxl \0\0\0\0jxl "), (kind, codestream))
    return b"".join(struct.pack(">I4s", 8 + len(body), name) + body for name, body in boxes)


CASES = [
    (((1, 1), (0, 5), (1, 3)), (8, 8)),
    (((1, 1), (3, 5), (0, 3), (31, 5)), (256, 32)),
    (((1, 1), (1, 5), (7, 3)), (32, 16)),
    (((0, 1), (0, 2), (99, 9), (0, 3), (1, 2), (4999, 13)), (5000, 100)),
    (((0, 1), (3, 2), (999_999, 30), (5, 3)), (1_777_777, 1_000_000)),
]


@pytest.mark.parametrize(("fields", "size"), CASES)
def test_sizes(fields: tuple[tuple[int, int], ...], size: tuple[int, int]) -> None:
    bare = header(*fields)
    assert size_of(io.BytesIO(bare)) == size
    assert size_of(io.BytesIO(contained(bare))) == size
    assert size_of(io.BytesIO(contained(bytes(4) + bare, b"jxlp"))) == size


def test_damaged_files_have_none() -> None:
    whole = contained(header(*CASES[0][0]))
    for length in range(len(whole) - 12):
        with pytest.raises(Unsupported):
            size_of(io.BytesIO(whole[:length]))


def test_without_its_plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_jxl.JpegXLImagePlugin", None)
    for data in (header(*CASES[0][0]), contained(header(*CASES[0][0]))):
        with pytest.raises(UnreadablePicture, match=r"needs pip install 'diffc-stream\[jxl"):
            load_picture(data)


def test_with_its_plug_in() -> None:
    pytest.importorskip("pillow_jxl", reason="pip install 'diffc-stream[jxl]'")
    buffer = io.BytesIO()
    picture = np.random.default_rng(1).integers(0, 256, (24, 40, 3), np.uint8)
    Image.fromarray(picture).save(buffer, "JXL", lossless=True)
    assert np.array_equal(load_picture(buffer.getvalue()), picture)
    with pytest.raises(UnreadablePicture):
        load_picture(buffer.getvalue()[:40])
    with pytest.raises(Exception, match="megapixels"):
        load_picture(header(*CASES[4][0]))
