"""Pictures that streams start from are made of the bytes that name them, and each once."""

from __future__ import annotations

import camera
import numpy as np
import pytest

from diffc_stream.container import Header, Reference
from diffc_stream.container.reference import digest
from diffc_stream.errors import MissingReference, PictureTooLarge, StreamError
from diffc_stream.picture import png_bytes
from diffc_stream.references import Pictures, References, among, held
from diffc_stream.succession import LONGEST


def reference(number: int) -> Reference:
    said = Header.parse(camera.streams(3)[number])[0].reference
    assert said is not None
    return said


def test_a_chain_is_followed() -> None:
    data = camera.streams(3)
    found = References([camera.MODEL], among(data))(reference(2))
    assert found.shape == (64, 64, 3)
    assert np.array_equal(
        found, held(data[1][: camera.HALF], [camera.MODEL], find=among(data)).picture
    )


def test_a_picture_that_was_made_needs_no_bytes() -> None:
    data, pictures = camera.streams(3), Pictures()
    first = References([camera.MODEL], among(data), pictures=pictures)(reference(2))
    again = References([camera.MODEL], None, pictures=pictures)
    assert again(reference(2)) is first
    assert again(reference(1)).shape == first.shape
    known = held(data[1][: camera.HALF], [], pictures=pictures)
    assert known.picture is first


def test_the_least_used_picture_is_dropped() -> None:
    pictures = Pictures(2 * 12)
    made = [np.full((2, 2, 3), number, np.uint8) for number in range(4)]
    for number in range(2):
        pictures.put(number, b"", made[number])
    assert pictures.get(0, b"") is made[0]
    pictures.put(0, b"", made[3])
    pictures.put(2, b"", made[2])
    assert [pictures.get(number, b"") is not None for number in range(3)] == [True, False, True]
    assert pictures.get(0, b"") is made[0]
    pictures.put(4, b"", np.zeros((3, 3, 3), np.uint8))
    assert pictures.get(4, b"") is None


def test_what_is_not_it() -> None:
    data = camera.streams(2)
    for find in (None, lambda _: None, lambda _: data[1]):
        with pytest.raises(MissingReference, match=r"0\.dfc, 600 bytes"):
            References([camera.MODEL], find)(reference(1))
    with pytest.raises(PictureTooLarge):
        References([camera.MODEL], among(data), most_pixels=64 * 63)(reference(1))


def test_picture_files_have_the_limit_of_streams() -> None:
    data = png_bytes(np.zeros((20, 30, 3), np.uint8))
    said = Reference(size=len(data), digest=digest(data), trust=b"\0")
    assert References([], among([data]), most_pixels=600)(said).shape == (20, 30, 3)
    with pytest.raises(PictureTooLarge, match="30 x 20 pixels is beyond the limit of 599 pixels"):
        References([], among([data]), most_pixels=599)(said)


def from_one_another(count: int, *, width: int, height: int) -> tuple[list[bytes], Reference]:
    """Return streams of nothing but a header, and what names the last; the first one's is lost."""
    files: list[bytes] = []
    said = Reference(size=3, digest=digest(b"abc"), trust=b"\0")
    for _ in range(count):
        header = Header(
            model=camera.MODEL.fingerprint,
            width=width,
            height=height,
            seed=0,
            ratio=200,
            about=True,
            reference=said,
        )
        files.append(header.encode())
        said = Reference(size=len(files[-1]), digest=digest(files[-1]), trust=b"\0")
    return files, said


def test_a_chain_has_an_end() -> None:
    files, said = from_one_another(101, width=64, height=64)
    with pytest.raises(StreamError, match="more than 100 streams"):
        References([camera.MODEL], among(files))(said)


def test_a_chain_has_so_many_pixels_in_all() -> None:
    files, said = from_one_another(LONGEST, width=3840, height=2160)
    with pytest.raises(MissingReference):  # it is followed to its end
        References([camera.MODEL], among(files), most_pixels=3840 * 2160)(said)
    files, said = from_one_another(6, width=10_000, height=10_000)
    with pytest.raises(PictureTooLarge, match="more than 536,870,912 pixels in all"):
        References([camera.MODEL], among(files))(said)
    with pytest.raises(PictureTooLarge, match="more than 536,870,912 pixels in all"):
        held(files[-1], [camera.MODEL], find=among(files))
    with pytest.raises(MissingReference):
        References([camera.MODEL], among(files), most_pixels=6 * 10**8)(said)
