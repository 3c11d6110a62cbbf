"""Pictures beside one another: the original, what peers make of so many bytes, and ours."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from diffc_stream.destination import writing

SIDE = 256
"""Pixels of a crop, taken from the middle and not scaled."""
MOST_BYTES = 150_000
LABEL, GAP = 20, 4

Row = Sequence[tuple[str, NDArray[np.uint8]]]
"""Captions and whole pictures, (H, W, 3)."""


def sheet(rows: Sequence[Row]) -> Image.Image:
    """Return rows of cropped pictures with their captions above them."""
    columns = max(len(row) for row in rows)
    size = (columns * (SIDE + GAP) - GAP, len(rows) * (SIDE + LABEL + GAP) - GAP)
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(13)
    for number, row in enumerate(rows):
        top = number * (SIDE + LABEL + GAP)
        for column, (caption, picture) in enumerate(row):
            left = column * (SIDE + GAP)
            draw.text((left + 2, top + 2), caption, "black", font)
            canvas.paste(Image.fromarray(_middle(picture)), (left, top + LABEL))
    return canvas


def save(rows: Sequence[Row], path: Path) -> None:
    """Write the sheet as the best JPEG of at most :data:`MOST_BYTES`, wholly or not at all."""
    canvas = sheet(rows)
    data = b""
    for quality in range(90, 9, -5):
        buffer = io.BytesIO()
        canvas.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
        data = buffer.getvalue()
        if len(data) <= MOST_BYTES:
            break
    with writing(path) as file:
        file.write(data)


def _middle(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    top, left = max(0, (height - SIDE) // 2), max(0, (width - SIDE) // 2)
    return np.ascontiguousarray(picture[top : top + SIDE, left : left + SIDE])
