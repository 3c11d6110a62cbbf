"""What a file is, by its first bytes."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from diffc_stream.errors import UnreadablePicture
from diffc_stream.imaging.kinds import HEAD, kind_of
from diffc_stream.picture import FORMATS, load_picture


@pytest.mark.parametrize("name", sorted({*FORMATS} - {"HEIF"}))
def test_what_pillow_writes_is_known(name: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, name)
    assert kind_of(buffer.getvalue()[:HEAD]) == name


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (b"8BPS\0\1" + bytes(40), "Photoshop is not read"),
        (b"%PDF-1.7\n", "PDF is not read"),
        (b"II\xbc\1" + bytes(40), "JPEG XR is not read"),
        (b"<svg xmlns=''>", "SVG is not read"),
        (b"\0\0\0\x18ftypmp42" + bytes(40), "video is not read"),
        (b"\0\0\0\x18ftypcrx " + bytes(40), "raw is not read"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "PNG that is not read, or damaged"),
        (b"dear diary", "not a picture"),
        (b"", "not a picture"),
    ],
)
def test_what_is_not_read_is_said(head: bytes, says: str) -> None:
    with pytest.raises(UnreadablePicture, match=says):
        load_picture(head)
