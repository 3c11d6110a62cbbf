"""The formats that pictures are written in."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffc_stream.errors import DestinationError
from diffc_stream.formats import FORMATS, format_of, picture_bytes, save_picture
from diffc_stream.metrics import psnr
from diffc_stream.picture import load_picture


@pytest.fixture
def picture() -> NDArray[np.uint8]:
    """Smooth, and coloured finely: what halved colour would lose."""
    y, x = np.mgrid[:40, :56]
    colours = np.stack([4 * x, 255 - 4 * x, 6 * y], axis=-1)
    colours[::2, ::2, 0] = 255 - colours[::2, ::2, 0]
    return colours.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_written_is_read(suffix: str, picture: NDArray[np.uint8], tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix.upper()}"
    save_picture(path, picture, text={"diffc-render": "flow", "Comment": "synthesised"})
    kind = format_of(path)
    with Image.open(path) as image:
        assert image.format == kind.name
        told = str(image.info) + str(dict(image.getexif()))
        assert "synthesised" in told
    if kind.quality is None:
        assert np.array_equal(load_picture(path), picture)
    else:
        # WebP has colour at half the resolution only.
        assert psnr(load_picture(path), picture) > (15 if kind.name == "WEBP" else 30)
        sizes = [len(picture_bytes(picture, format_of(path, quality))) for quality in (20, 95)]
        assert sizes[0] < sizes[1]


@pytest.mark.parametrize("name", ["-", "pipe", "a.b/out"])
def test_without_a_suffix_it_is_png(name: str) -> None:
    assert format_of(Path(name)).name == "PNG"


@pytest.mark.parametrize("name", ["a.gif", "a.heic", "a.png.txt", "a.dfc"])
def test_others_are_refused_with_a_list_of_what_there_is(name: str) -> None:
    with pytest.raises(DestinationError, match=r"\.png, \.jpg, .*\.webp, \.avif, .*not \."):
        format_of(Path(name))


def test_what_loses_nothing_has_no_quality() -> None:
    for name in ("a.png", "a.tif", "-"):
        with pytest.raises(DestinationError, match="loses nothing"):
            format_of(Path(name), 90)


def test_a_format_that_this_pillow_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    Image.init()  # or there is nothing to take away yet
    monkeypatch.delitem(Image.SAVE, "AVIF")
    with pytest.raises(DestinationError, match="AVIF is not written"):
        format_of(Path("a.avif"))


def test_what_is_too_large_for_a_format() -> None:
    wide = np.zeros((1, 16_384, 3), np.uint8)
    with pytest.raises(DestinationError, match="16,383 pixels a side"):
        picture_bytes(wide, format_of(Path("a.webp")))
    with Image.open(io.BytesIO(picture_bytes(wide, format_of(Path("a.jpg"))))) as image:
        assert image.size == (16_384, 1)
