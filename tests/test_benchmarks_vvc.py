"""VVC pictures in and out, where an ffmpeg with its encoder is installed."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from diffc_benchmarks.vvc import START, decoded, encoded, register
from diffc_stream.metrics import psnr


def ffmpeg() -> str:
    """Return the path of one, or skip the test."""
    path: str = pytest.importorskip("imageio_ffmpeg").get_ffmpeg_exe()
    if register(path) is None:
        pytest.skip("this ffmpeg has no VVenC")
    return path


def picture() -> Image.Image:
    y, x = np.mgrid[:64, :72]
    waves = 128 + 60 * np.sin(x / 9)[..., None] + 40 * np.cos(y / 5)[..., None] * [1, 0.5, 0.2]
    return Image.fromarray(np.clip(waves, 0, 255).astype(np.uint8))


def test_there_and_back() -> None:
    sizes = []
    for qp, least in ((45, 22.0), (20, 36.0)):
        data = encoded(ffmpeg(), picture(), qp=qp, preset="medium")
        sizes.append(len(data))
        assert data.startswith(START)
        with Image.open(io.BytesIO(decoded(ffmpeg(), data))) as shown:
            assert psnr(np.asarray(shown), np.asarray(picture())) > least
    assert sizes[0] < sizes[1]


def test_pillow_knows_the_format() -> None:
    ffmpeg()
    buffer = io.BytesIO()
    picture().save(buffer, "VVC", qp=30, preset="medium")
    with Image.open(io.BytesIO(buffer.getvalue())) as shown:
        assert shown.size == (72, 64)


def test_damage_is_an_ordinary_error() -> None:
    with pytest.raises(OSError, match="ffmpeg"):
        decoded(ffmpeg(), START + bytes(100))


def test_no_ffmpeg_is_no_encoder() -> None:
    assert register("/no/such/ffmpeg") is None
