"""Draws how a stream arrived: a row of its pictures, above the observations they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

WIDEST, TALLEST = 360, 560
"""Largest size of a picture in the strip, in pixels; larger ones are reduced."""
NARROWEST = 270
"""Least width of a column, so that its label fits."""
MARGIN = 16
CAPTION = "above: the picture at that moment;  below: the observation Z_t it is denoised from"
PAPER, INK, PALE = "#14161a", "#f2f2f0", "#9aa0a8"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """A stream at one moment."""

    picture: NDArray[np.uint8]
    """(H, W, 3), as decoded."""
    observation: NDArray[np.uint8]
    """(H, W, 3), the noisy observation Z_t from which the picture was denoised."""
    bytes: int
    bpp: float
    psnr: float
    """PSNR against the original, in dB."""


def milestones(last: int, *, count: int = 8, first: int = 200) -> list[int]:
    """Return about ``count`` numbers of bytes from ``first`` to ``last``, in constant ratio."""
    first = min(first, last)
    return sorted({round(last * (first / last) ** (1 - i / (count - 1))) for i in range(count)})


def filmstrip(frames: Sequence[Frame], *, title: str) -> NDArray[np.uint8]:
    """Draw ``frames`` (at least one, all of one shape) as columns under their labels.

    Returns (H, W, 3), uint8.
    """
    width, height = _shown_size(frames[0].picture)
    column = max(width, NARROWEST)
    large, small = ImageFont.load_default(32), ImageFont.load_default(24)
    top = MARGIN + 44 + MARGIN
    rows = (top + 80, top + 80 + height + MARGIN)
    right = MARGIN + len(frames) * (column + MARGIN)
    needed = round(max(large.getlength(title), small.getlength(CAPTION))) + 2 * MARGIN
    strip = Image.new("RGB", (max(right, needed), rows[1] + height + 52), PAPER)
    draw = ImageDraw.Draw(strip)
    draw.text((MARGIN, MARGIN), title, INK, font=large)
    for index, frame in enumerate(frames):
        left = MARGIN + index * (column + MARGIN)
        draw.text((left, top), f"{frame.bytes:,} bytes", INK, font=large)
        label = f"{frame.bpp:.3f} bpp,  {frame.psnr:.2f} dB"
        draw.text((left, top + 41), label, PALE, font=small)
        strip.paste(_picture(frame.picture, width, height), (left, rows[0]))
        strip.paste(_noise(frame.observation, width, height), (left, rows[1]))
    draw.text((MARGIN, rows[1] + height + 10), CAPTION, PALE, font=small)
    return np.asarray(strip).copy()


def _shown_size(picture: NDArray[np.uint8]) -> tuple[int, int]:
    """Return the (width, height) at which to show pictures of this shape, in proportion."""
    height, width = picture.shape[:2]
    scale = min(1.0, WIDEST / width, TALLEST / height)
    if max(width, height) * 2 <= NARROWEST:
        scale = NARROWEST // max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _picture(picture: NDArray[np.uint8], width: int, height: int) -> Image.Image:
    """Reduce smoothly, or enlarge with visible pixels."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    smoothly = width < image.width or height < image.height
    how = Image.Resampling.LANCZOS if smoothly else Image.Resampling.NEAREST
    return image.resize((width, height), how)


def _noise(observation: NDArray[np.uint8], width: int, height: int) -> Image.Image:
    """Reduce by leaving out pixels, because averaging would hide the noise."""
    image = Image.fromarray(np.ascontiguousarray(observation))
    return image.resize((width, height), Image.Resampling.NEAREST)
