"""Streams through Pillow, as programs that know nothing else use them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.ExifTags import Base
from sources import LARGE, collection, independent, long_stream, model, picture, stream

import diffc_stream.pillow
from diffc_stream import Decoder
from diffc_stream.codec import Curve
from diffc_stream.container import Header

MODEL = model()
MODELS = {MODEL.fingerprint: MODEL}
DATA = stream()
PICTURE = picture()
HEIGHT, WIDTH = PICTURE.shape[:2]


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    diffc_stream.pillow.register(MODELS)
    yield
    Image.OPEN.pop(diffc_stream.pillow.FORMAT)
    Image.ID.remove(diffc_stream.pillow.FORMAT)
    Image.SAVE.pop(diffc_stream.pillow.FORMAT)
    Image.EXTENSION.pop(diffc_stream.pillow.SUFFIX)
    Image.MIME.pop(diffc_stream.pillow.FORMAT)
    diffc_stream.pillow.StreamImage.models = None
    diffc_stream.pillow.StreamImage.render = "mmse"


def opened(data: bytes = DATA) -> diffc_stream.pillow.StreamImage:
    image = Image.open(io.BytesIO(data))
    assert isinstance(image, diffc_stream.pillow.StreamImage)
    return image


def rendered(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    decoder = Decoder([MODEL])
    decoder.feed(data)
    return decoder.render().image


def test_a_stream_is_opened_like_any_picture(tmp_path: Path) -> None:
    (tmp_path / "a.dfc").write_bytes(DATA)
    with Image.open(tmp_path / "a.dfc") as image:
        assert (image.format, image.mode, image.size) == ("DFC", "RGB", (WIDTH, HEIGHT))
        assert image.get_format_mimetype() == "application/vnd.diffc"
        assert image.info == {"model": MODEL.fingerprint}
        np.testing.assert_array_equal(np.asarray(image), rendered(DATA))
        assert image.info["bytes"] == len(DATA)
        assert image.info["predicted_psnr"] > 20


def test_a_copy_and_a_conversion_decode_it() -> None:
    assert np.array_equal(np.asarray(opened().copy()), rendered(DATA))
    assert opened().convert("L").size == (WIDTH, HEIGHT)


@pytest.mark.parametrize("length", [200, 700, len(DATA) - 1])
def test_a_truncated_stream_is_a_picture(length: int) -> None:
    np.testing.assert_array_equal(np.asarray(opened(DATA[:length])), rendered(DATA[:length]))


def test_a_prefix_is_shown_before_and_after_loading() -> None:
    image = opened()
    image.prefix(300)
    np.testing.assert_array_equal(np.asarray(image), rendered(DATA[:300]))
    image.prefix(900)
    np.testing.assert_array_equal(np.asarray(image), rendered(DATA[:900]))
    assert image.info["bytes"] == 900
    with pytest.raises(ValueError, match="at least 1"):
        image.prefix(0)


def test_too_short_for_a_picture() -> None:
    _, size = Header.parse(DATA)
    with pytest.raises(OSError, match="nothing can be decoded yet"):
        opened(DATA[:size]).load()


def test_a_thumbnail_takes_only_what_it_shows() -> None:
    image = opened()
    assert image.draft("L", (WIDTH // 2, HEIGHT // 2)) is not None
    image.load()
    assert image.size == ((WIDTH + 1) // 2, (HEIGHT + 1) // 2)
    curve = Curve()
    curve.feed(DATA)
    opening = curve.opening(max(image.size))
    assert opening is not None
    assert image.info["bytes"] == opening < len(DATA)
    assert image.draft(None, (1, 1)) is None
    thumbnail = opened()
    thumbnail.thumbnail((WIDTH // 4, HEIGHT // 4))
    assert max(thumbnail.size) == max(WIDTH, HEIGHT) // 4
    assert thumbnail.info["bytes"] < len(DATA)


def test_nothing_is_drafted_that_would_be_too_small() -> None:
    image = opened()
    assert image.draft(None, (WIDTH // 2 + 1, HEIGHT)) is None
    assert image.draft("RGB", None) is None
    assert image.size == (WIDTH, HEIGHT)


def test_damage_is_an_error_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    diffc_stream.pillow.register({model(LARGE).fingerprint: model(LARGE)})
    damaged = bytearray(long_stream()[:4000])
    damaged[2500] ^= 1
    with pytest.raises(OSError, match="LOAD_TRUNCATED_IMAGES"):
        opened(bytes(damaged)).load()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    image = opened(bytes(damaged))
    image.load()
    assert 1000 < image.info["bytes"] <= 2500


@pytest.mark.parametrize("data", [b"DFC", b"DFC\x00", DATA[:6], b"DF", b"DFC" + bytes(60)])
def test_what_is_no_stream_is_not_identified(data: bytes) -> None:
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(data))


def test_an_unknown_model_is_named() -> None:
    diffc_stream.pillow.register({})
    with pytest.raises(OSError, match=MODEL.fingerprint):
        opened().load()


def test_a_huge_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diffc_stream.pillow, "MOST_BYTES", len(DATA) - 1)
    with pytest.raises(OSError, match="not a stream"):
        opened().load()


def test_a_rendering_is_chosen_once_for_all() -> None:
    diffc_stream.pillow.register(MODELS, render=0.5)
    image = opened()
    image.load()
    assert "synthesised" in image.info["Comment"]


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "1", "F", "I;16", "YCbCr"])
def test_images_of_all_modes_are_saved(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(PICTURE)
    image = image.convert("L").convert(mode) if mode in ("F", "I;16") else image.convert(mode)
    image.save(tmp_path / "a.dfc", bytes=400)
    assert len((tmp_path / "a.dfc").read_bytes()) <= 400
    with Image.open(tmp_path / "a.dfc") as again:
        assert again.size == image.size
        again.load()


def test_sizes_are_bytes_or_bits_per_pixel(tmp_path: Path) -> None:
    image = Image.fromarray(PICTURE)
    image.save(tmp_path / "a.dfc", bpp=1.0)
    assert (tmp_path / "a.dfc").stat().st_size == WIDTH * HEIGHT // 8
    buffer = io.BytesIO()
    image.save(buffer, "DFC", bytes=WIDTH * HEIGHT // 8)
    assert buffer.getvalue() == (tmp_path / "a.dfc").read_bytes()
    with pytest.raises(ValueError, match="give one of them"):
        image.save(buffer, "DFC", bytes=100, bpp=0.5)
    with pytest.raises(OSError, match="bytes"):
        image.save(buffer, "DFC", bytes=2)


def test_what_exif_says_goes_with_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[Base.Make], exif[Base.Model] = "Fuji", "X100"
    image = Image.fromarray(PICTURE)
    for given in (exif, exif.tobytes()):
        image.save(tmp_path / "a.dfc", bytes=1500, exif=given)
        with Image.open(tmp_path / "a.dfc") as again:
            again.load()
            assert "X100" in str(again.getexif()[Base.Model])
    image.info["exif"] = exif.tobytes()
    image.save(tmp_path / "a.dfc", bytes=1500)
    with Image.open(tmp_path / "a.dfc") as again:
        again.load()
        assert "exif" not in again.info


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_a_turned_picture_is_upright(tmp_path: Path, mode: str) -> None:
    diffc_stream.pillow.register(collection(independent()))
    exif = Image.Exif()
    exif[Base.Orientation] = 6
    image = Image.fromarray(PICTURE[: HEIGHT // 2]).convert(mode)
    image.save(tmp_path / "a.dfc", bytes=400, exif=exif)
    image.info["exif"] = exif.tobytes()
    image.save(tmp_path / "b.dfc", bytes=400)
    with Image.open(tmp_path / "a.dfc") as turned, Image.open(tmp_path / "b.dfc") as as_it_is:
        assert (turned.size, as_it_is.size) == ((HEIGHT // 2, WIDTH), (WIDTH, HEIGHT // 2))


def test_imageio_reads_through_pillow(tmp_path: Path) -> None:
    (tmp_path / "a.dfc").write_bytes(DATA)
    np.testing.assert_array_equal(imageio.imread(tmp_path / "a.dfc"), rendered(DATA))
