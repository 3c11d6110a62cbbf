"""JPEG files that lack their end are shown if nothing else is missing."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from diffc_stream.errors import UnreadablePicture
from diffc_stream.picture import load_picture


def jpeg(**options: object) -> bytes:
    buffer = io.BytesIO()
    picture = np.random.default_rng(5).integers(0, 256, (64, 96, 3), np.uint8)
    Image.fromarray(picture).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_one_without_its_end_is_shown(options: dict[str, object]) -> None:
    data = jpeg(**options)
    whole = load_picture(data)
    for missing in (1, 2):
        assert np.array_equal(load_picture(data[:-missing]), whole)
    assert np.array_equal(load_picture(data + b"what some cameras add"), whole)


def test_one_that_lacks_pixels_is_refused() -> None:
    data = jpeg()
    for length in (*range(len(data) - 40, len(data) - 3), len(data) // 2):
        with pytest.raises(UnreadablePicture, match="truncated"):
            load_picture(data[:length])
