"""Training pictures: folders that are decoded once, and random crops of all scales."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

SUFFIXES = {".webp", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"}
DRAWN = 0.1
"""Share of the crops from graphics, since many pictures that are sent are not photographs."""
_SMALLEST_SIDE = 16


def split(folder: Path, without: Sequence[str] = ()) -> tuple[list[Path], list[Path]]:
    """Return the photographs of ``folder`` as (for training, held out): every 40th is held out.

    Files whose names begin with one of ``without`` are neither.  Raises SystemExit if fewer than
    two are left.
    """
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    paths = [p for p in found if not p.name.startswith(tuple(without))]
    if len(paths) < 2:
        raise SystemExit(f"{folder}: no photographs to train on (looked for {sorted(SUFFIXES)})")
    held_out = paths[20::40] or paths[-1:]
    return [p for p in paths if p not in set(held_out)], held_out


def decoded(path: Path) -> NDArray[np.uint8]:
    """Return the pixels of a photograph, (H, W, 3)."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def pyramid(level: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return the octaves of a picture, finest first, each the 2x2 box mean of the last."""
    levels = [level]
    while min(level.shape[:2]) >= 2 * _SMALLEST_SIDE:
        height, width = level.shape[0] // 2 * 2, level.shape[1] // 2 * 2
        blocks = level[:height, :width].reshape(height // 2, 2, width // 2, 2, 3)
        level = np.round(blocks.astype(np.float32).mean(axis=(1, 3))).astype(np.uint8)
        levels.append(level)
    return levels


class Photographs:
    """All photographs of a list, in memory, as octave pyramids, and graphics beside them."""

    def __init__(self, paths: list[Path], graphics: Sequence[NDArray[np.uint8]] = ()) -> None:
        """Decode ``paths``; the share :data:`DRAWN` of the crops come from ``graphics``, if any."""
        self._pyramids = [pyramid(decoded(path)) for path in paths]
        self._graphics = [pyramid(graphic) for graphic in graphics]

    def crops(self, count: int, side: int, rng: np.random.Generator) -> Tensor:
        """Draw ``count`` square crops as a (count, 3, side, side) tensor of values in [-2, 2].

        One network serves all octaves of the codec, so a crop comes from a random octave at
        a random scale: half of the crops are left at the octave's own sharpness, a tenth are
        enlarged up to twice, because the finest octave of a large camera picture is smooth.
        """
        return torch.stack([self._crop(side, rng) for _ in range(count)]) * (4.0 / 255.0) - 2.0

    def _crop(self, side: int, rng: np.random.Generator) -> Tensor:
        while True:
            drawn = self._graphics and rng.random() < DRAWN
            pyramids = self._graphics if drawn else self._pyramids
            levels = pyramids[rng.integers(len(pyramids))]
            usable = sum(min(level.shape[:2]) >= side for level in levels)
            if usable:
                break
        octave = 0 if rng.random() < 0.5 else int(rng.integers(usable))
        level = levels[octave]
        taken = side
        scale = rng.random()
        if scale < 0.4:
            taken = min(int(side / rng.uniform(0.55, 1.0)), *level.shape[:2])
        elif scale < 0.5:
            taken = int(side / rng.uniform(1.0, 2.0))
        top = int(rng.integers(level.shape[0] - taken + 1))
        left = int(rng.integers(level.shape[1] - taken + 1))
        crop = level[top : top + taken, left : left + taken]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        if rng.random() < 0.1:
            crop = crop.transpose(1, 0, 2)
        pixels = torch.from_numpy(crop.copy()).permute(2, 0, 1).float()
        if taken != side:
            pixels = F.interpolate(
                pixels[None], (side, side), mode="bilinear", antialias=True, align_corners=False
            )[0]
        return pixels
