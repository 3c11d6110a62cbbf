"""Every kind of picture that people have, made here in memory."""

from __future__ import annotations

import io
import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from picture_files import cmyk_profile, colour_of, encoded, grey_profile, plain, png_of, rgb_profile
from PIL import Image

from diffc_stream import picture as module
from diffc_stream.errors import DiffcError, PictureTooLarge, UnreadablePicture
from diffc_stream.picture import load_picture


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP", "JPEG2000"])
def test_lossless_files_come_back_exactly(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(Image.fromarray(plain(height=40, width=50)), kind, **options)
    picture = load_picture(data)
    assert np.array_equal(picture, plain(height=40, width=50))
    assert picture.flags.c_contiguous
    assert picture.flags.writeable


@pytest.mark.parametrize("kind", ["JPEG", "AVIF", "GIF"])
def test_lossy_files_come_back_about(kind: str) -> None:
    assert colour_of(encoded(Image.new("RGB", (16, 16), (200, 100, 50)), kind)) == pytest.approx(
        [200, 100, 50], abs=4
    )


def test_the_three_kinds_of_source(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(plain()))
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    with path.open("rb") as file:
        assert np.array_equal(load_picture(file), plain())
    assert np.array_equal(load_picture(path), plain())
    assert np.array_equal(load_picture(io.BytesIO(data)), plain())


def test_palette() -> None:
    image = Image.new("P", (3, 2), 1)
    image.putpalette([9, 9, 9, 10, 20, 30])
    assert colour_of(encoded(image)) == [10, 20, 30]
    assert colour_of(encoded(image, transparency=0)) == [10, 20, 30]
    assert colour_of(encoded(image, transparency=1)) == [255, 255, 255]
    assert colour_of(encoded(image, transparency=b"\xff\x00")) == [255, 255, 255]


def test_grey_and_bilevel() -> None:
    assert colour_of(encoded(Image.new("L", (3, 2), 77))) == [77, 77, 77]
    assert colour_of(encoded(Image.new("1", (3, 2), 1))) == [255, 255, 255]
    assert colour_of(encoded(Image.new("1", (3, 2), 0))) == [0, 0, 0]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(("value", "grey"), [(0, 0), (65535, 255), (257 * 40, 40), (300, 1)])
def test_grey_of_16_bits(kind: str, value: int, grey: int) -> None:
    image = Image.fromarray(np.full((2, 3), value, np.uint16))
    assert image.mode == "I;16"
    assert colour_of(encoded(image, kind)) == [grey] * 3


def test_grey_of_16_bits_the_other_way_round() -> None:
    header = b"P5 3 2 65535\n"
    assert colour_of(header + 6 * struct.pack(">H", 257 * 40)) == [40] * 3
    big = encoded(Image.frombytes("I;16B", (3, 2), 6 * struct.pack(">H", 257 * 40)), "TIFF")
    assert colour_of(big) == [40] * 3


def test_colour_of_16_bits() -> None:
    header = b"P6 3 2 65535\n"
    assert colour_of(header + 6 * struct.pack(">3H", 0, 65535, 257 * 40)) == [0, 255, 40]


@pytest.mark.parametrize(
    ("values", "greys"),
    [
        ([0.0, 0.2, 1.0], [0, 51, 255]),
        ([0.0, 40.0, 255.0], [0, 40, 255]),
        ([0.0, 257.0 * 40, 65535.0], [0, 40, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([0.0, float("nan"), 1.0], [0, 0, 255]),
        ([5e5, 5e5, 5e5], [0, 0, 0]),
    ],
)
def test_floats_find_their_scale(values: list[float], greys: list[int]) -> None:
    image = Image.fromarray(np.array([values], np.float32))
    assert load_picture(encoded(image, "TIFF"))[0, :, 0].tolist() == greys


@pytest.mark.parametrize(
    ("values", "greys"),
    [([0, 257 * 40, 65535], [0, 40, 255]), ([-(2**20), 0, 2**20], [0, 128, 255])],
)
def test_wide_integers_find_their_scale(values: list[int], greys: list[int]) -> None:
    image = Image.fromarray(np.array([values], np.int32))
    assert load_picture(encoded(image, "TIFF"))[0, :, 0].tolist() == greys


def test_transparency_is_laid_over_white() -> None:
    assert colour_of(encoded(Image.new("RGBA", (3, 2), (200, 0, 0, 0)))) == [255, 255, 255]
    assert colour_of(encoded(Image.new("RGBA", (3, 2), (200, 0, 0, 255)))) == [200, 0, 0]
    assert colour_of(encoded(Image.new("RGBA", (3, 2), (200, 0, 0, 51)))) == [244, 204, 204]
    assert colour_of(encoded(Image.new("LA", (3, 2), (100, 51)))) == [224, 224, 224]
    assert colour_of(encoded(Image.new("L", (3, 2), 100), transparency=100)) == [255] * 3
    assert (
        colour_of(encoded(Image.new("RGB", (3, 2), (1, 2, 3)), transparency=(1, 2, 3))) == [255] * 3
    )


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind: str) -> None:
    data = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), kind)
    assert colour_of(data) == pytest.approx([255, 0, 0], abs=2)


def test_other_colour_spaces() -> None:
    assert colour_of(encoded(Image.new("YCbCr", (2, 2), (90, 128, 128)), "TIFF")) == [90, 90, 90]
    lab = colour_of(encoded(Image.new("LAB", (2, 2), (137, 128, 128)), "TIFF"))
    assert lab == pytest.approx([128, 128, 128], abs=2)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_exif_rotation_is_applied(orientation: int, kind: str) -> None:
    upright = plain()
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif, **options)
    assert np.array_equal(load_picture(data), upright)


def test_broken_exif_is_ignored() -> None:
    data = encoded(Image.fromarray(plain()), exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert np.array_equal(load_picture(data), plain())


def test_an_rgb_profile_is_converted_to_srgb() -> None:
    # Linear light of one half is 188 in sRGB.
    image = Image.new("RGB", (4, 4), (128, 255, 0))
    assert colour_of(encoded(image, icc_profile=rgb_profile(1.0))) == pytest.approx(
        [188, 255, 0], abs=1
    )


def test_a_profile_leaves_transparency_alone() -> None:
    image = Image.new("RGBA", (4, 4), (128, 128, 128, 0))
    assert colour_of(encoded(image, icc_profile=rgb_profile(1.0))) == [255, 255, 255]
    image = Image.new("LA", (4, 4), (128, 255))
    assert colour_of(encoded(image, icc_profile=grey_profile(1.0))) == pytest.approx(
        [188] * 3, abs=1
    )


def test_grey_pictures_take_grey_and_rgb_profiles() -> None:
    image = Image.new("L", (4, 4), 128)
    assert colour_of(encoded(image, icc_profile=grey_profile(1.0))) == pytest.approx(
        [188] * 3, abs=1
    )
    assert colour_of(encoded(image, icc_profile=rgb_profile(1.0))) == pytest.approx(
        [188] * 3, abs=1
    )
    deep = Image.fromarray(np.full((4, 4), 128 * 257, np.uint16))
    assert colour_of(encoded(deep, icc_profile=grey_profile(1.0))) == pytest.approx(
        [188] * 3, abs=1
    )


def test_a_cmyk_profile_is_used() -> None:
    # Without the profile, full cyan would be (0, 255, 255).
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    assert colour_of(encoded(image, "TIFF", icc_profile=cmyk_profile())) == pytest.approx(
        [255] * 3, abs=2
    )
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 255))
    assert colour_of(encoded(image, "TIFF", icc_profile=cmyk_profile())) == pytest.approx(
        [0] * 3, abs=2
    )


@pytest.mark.parametrize(
    "profile",
    [b"not a profile", rgb_profile(1.0)[:200], cmyk_profile(), grey_profile(1.0), bytes(200)],
    ids=["text", "truncated", "of CMYK", "of grey", "zeros"],
)
def test_a_broken_or_foreign_profile_is_ignored(profile: bytes) -> None:
    image = Image.new("RGB", (4, 4), (128, 64, 32))
    assert colour_of(encoded(image, icc_profile=profile)) == [128, 64, 32]


def test_odd_sizes() -> None:
    for height, width in [(1, 1), (3, 5000), (5000, 3)]:
        picture = plain(height=height, width=width)
        assert np.array_equal(load_picture(encoded(Image.fromarray(picture))), picture)


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (4, 4), c) for c in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert colour_of(data) == [255, 0, 0]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "JPEG2000", "AVIF"])
def test_truncated_pictures(kind: str, tmp_path: Path) -> None:
    """Cut anywhere: an error of one line, or a picture of the full size; nothing else."""
    data = encoded(Image.fromarray(plain(height=64, width=64)), kind)
    path = tmp_path / "cut.picture"
    refused = 0
    for length in [*range(64), *range(64, len(data), len(data) // 16)]:
        path.write_bytes(data[:length])
        try:
            assert load_picture(path).shape == (64, 64, 3)
        except DiffcError as error:
            assert "\n" not in str(error)
            assert str(path) in str(error)
            refused += 1
    assert refused > 70


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP", "JPEG2000", "AVIF"])
def test_damaged_pictures(kind: str) -> None:
    data = encoded(Image.fromarray(plain(height=16, width=16)), kind)
    rng = np.random.default_rng(1)
    for _ in range(100):
        damaged = bytearray(data)
        for place in rng.integers(0, min(len(data), 200), 3):
            damaged[place] = rng.integers(256)
        try:
            assert load_picture(bytes(damaged)).ndim == 3
        except DiffcError as error:
            assert "\n" not in str(error)


def test_not_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary")
    with pytest.raises(UnreadablePicture, match=r"notes\.txt: not a picture"):
        load_picture(path)
    with pytest.raises(UnreadablePicture, match="picture of 0 bytes: not a picture"):
        load_picture(b"")
    # EPS would be handed to Ghostscript.
    with pytest.raises(UnreadablePicture):
        load_picture(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")


@pytest.mark.skipif(os.name != "posix", reason="pipes are those of POSIX")
def test_pictures_come_through_pipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = encoded(Image.fromarray(plain()), "TIFF")  # which is read here and there

    def given() -> threading.Thread:
        thread = threading.Thread(target=pipe.write_bytes, args=(data,))
        thread.start()
        return thread

    thread = given()
    assert np.array_equal(load_picture(pipe), plain())
    thread.join()
    thread = given()
    with pipe.open("rb") as file:
        assert np.array_equal(load_picture(file), plain())
    thread.join()
    monkeypatch.setattr(module, "MOST_BYTES", len(data) - 1)
    thread = given()
    with pytest.raises(PictureTooLarge, match="pipe: more than"):
        load_picture(pipe)
    thread.join()


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePicture, match=r"gone\.png: No such file"):
        load_picture(tmp_path / "gone.png")
    with pytest.raises(UnreadablePicture, match="directory"):
        load_picture(tmp_path)


def test_names_cannot_break_the_line(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePicture) as caught:
        load_picture(tmp_path / "two\nlines\x1b[31m.png")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (0, 0)])
def test_pictures_without_pixels(width: int, height: int) -> None:
    with pytest.raises(UnreadablePicture):
        load_picture(png_of(width, height))
    with pytest.raises(UnreadablePicture):
        load_picture(b"P6 %d %d 255\n" % (width, height))


@pytest.mark.parametrize("side", [10_001, 13_400, 30_000, 60_000])
def test_decompression_bombs_are_not_decoded(side: int) -> None:
    # They hold no pixels: whoever tried to decode them would report that.
    with pytest.raises(PictureTooLarge, match="100 megapixels"):
        load_picture(png_of(side, side))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "JPEG2000"])
def test_pictures_beyond_a_limit_of_the_caller_are_not_decoded(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded(Image.fromarray(plain()), kind)
    height, width = plain().shape[:2]
    assert load_picture(data, most_pixels=height * width).shape == plain().shape
    monkeypatch.setattr(module, "_loaded", None)  # nothing may call it
    with pytest.raises(PictureTooLarge, match=f"the limit of {height * width - 1} pixels"):
        load_picture(data, most_pixels=height * width - 1)


def test_large_pictures_below_the_limit_are_not_warned_about() -> None:
    with pytest.raises(UnreadablePicture):
        load_picture(png_of(9_990, 10_000))


def test_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def starve(image: Image.Image) -> NDArray[np.uint8]:
        raise MemoryError

    monkeypatch.setattr(module, "_array", starve)
    with pytest.raises(PictureTooLarge, match="not enough memory"):
        load_picture(encoded(Image.fromarray(plain())))
