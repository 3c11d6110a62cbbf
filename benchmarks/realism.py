"""How real pictures look, without asking anybody: a distance between distributions of patches.

The sliced Wasserstein distance between the patches of originals and of reconstructions, level by
level of a Laplacian pyramid (after Karras et al., "Progressive Growing of GANs", arXiv 1710.10196,
section 5).  Zero for the originals themselves; a blurred picture is far away because the detail
that it lacks is missing from the distribution, a noisy one because there is too much.

Unlike there, patches are measured in units of the originals' own standard deviation, because
standardising either side by itself would forgive a loss of contrast, which is what blur is; and the
distance is W2, the one for which blending mmse with flow is linear in theory.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SIDE = 7
"""Pixels of a patch's side; patches have all three channels."""
LEVELS = 4
"""Laplacian levels compared, the finest first; what is left below them is not."""
PROJECTIONS = 64
PATCHES = 65_536
"""Patches compared per level, at most and unless told otherwise, over all pictures."""
SEED = 2026
"""Of positions and projections: the same in every run."""

_BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16


def patch_distance(
    originals: Sequence[NDArray[np.uint8]],
    reconstructions: Sequence[NDArray[np.uint8]],
    *,
    most: int = PATCHES,
) -> float:
    """Return the distance between the patches of two lists of pictures, (H, W, 3) each.

    The mean over the levels of the root mean square, over projections, of the one-dimensional
    Wasserstein-2 distances; 0 is the same distribution, and a level of which nothing is left
    counts about 1.  Patches of all pictures are pooled, at most ``most`` per level, taken at the
    same places on both sides: what differs is what the codec did, not which patches were drawn.

    Raises ValueError if there are no pictures, their shapes differ, or none is large enough for
    a patch.
    """
    return float(np.mean(level_distances(originals, reconstructions, most=most)))


def level_distances(
    originals: Sequence[NDArray[np.uint8]],
    reconstructions: Sequence[NDArray[np.uint8]],
    *,
    most: int = PATCHES,
) -> list[float]:
    """Return the distance at each level, finest first; see :func:`patch_distance`."""
    if [a.shape for a in originals] != [b.shape for b in reconstructions]:
        raise ValueError("patches are compared between pictures of the same shapes")
    truth = [laplacian(picture) for picture in originals]
    guess = [laplacian(picture) for picture in reconstructions]
    random = np.random.default_rng(SEED)
    distances = []
    for level in range(LEVELS):
        pairs = [(a[level], b[level]) for a, b in zip(truth, guess, strict=True) if len(a) > level]
        directions = random.standard_normal((SIDE * SIDE * 3, PROJECTIONS)).astype(np.float32)
        directions /= np.linalg.norm(directions, axis=0)
        if pairs:
            distances.append(_distance(pairs, directions, random, most))
    if not distances:
        raise ValueError("there are no pictures large enough to compare patches of")
    return distances


def laplacian(picture: NDArray[np.uint8]) -> list[Floats]:
    """Return the Laplacian levels of a picture, finest first, (H, W, 3), in grey levels.

    At most :data:`LEVELS`, fewer where a level would be smaller than a patch.
    """
    levels: list[Floats] = []
    image = picture.astype(np.float32)
    while len(levels) < LEVELS and min(image.shape[:2]) >= SIDE:
        smaller = _smoothed(image)[::2, ::2]
        levels.append(image - _enlarged(smaller, image.shape[0], image.shape[1]))
        image = smaller
    return levels


def _distance(
    pairs: list[tuple[Floats, Floats]],
    directions: Floats,
    random: np.random.Generator,
    most: int,
) -> float:
    """Return the sliced distance of one level between pairs of bands (H, W, 3)."""
    places = [(a.shape[0] - SIDE + 1) * (a.shape[1] - SIDE + 1) for a, _ in pairs]
    share = min(1.0, most / sum(places))
    ours, theirs = [], []
    for (a, b), count in zip(pairs, places, strict=True):
        chosen = random.choice(count, max(1, int(share * count)), replace=False)
        ours.append(_patches(a, chosen))
        theirs.append(_patches(b, chosen))
    truth, guess = np.concatenate(ours), np.concatenate(theirs)
    # One scale for the level, not one per channel: the grey axis keeps its weight in sRGB.
    scale = float(truth.std()) or 1.0
    one = np.sort((directions.T @ truth.T) / scale, axis=1)
    other = np.sort((directions.T @ guess.T) / scale, axis=1)
    return float(np.sqrt(np.mean(np.square(one - other), dtype=np.float64)))


def _patches(band: Floats, chosen: NDArray[np.int64]) -> Floats:
    """Return the patches at ``chosen`` places, (N, SIDE * SIDE * 3)."""
    windows = np.lib.stride_tricks.sliding_window_view(band, (SIDE, SIDE), axis=(0, 1))
    rows, columns = np.divmod(chosen, windows.shape[1])
    return windows[rows, columns].reshape(len(chosen), -1)


def _smoothed(image: Floats) -> Floats:
    """Filter both ways with the binomial kernel.

    Edges are mirrored about the last pixel, which keeps every second one every second one.
    """
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="reflect")
    height, width = image.shape[:2]
    rows = np.zeros((height, width + 4, image.shape[2]), np.float32)
    for offset, weight in enumerate(_BINOMIAL):
        rows += weight * padded[offset : offset + height]
    smoothed = np.zeros_like(image)
    for offset, weight in enumerate(_BINOMIAL):
        smoothed += weight * rows[:, offset : offset + width]
    return smoothed


def _enlarged(image: Floats, height: int, width: int) -> Floats:
    """Put a zero after every pixel, both ways, and interpolate; crop to the size given."""
    spread = np.zeros((2 * image.shape[0], 2 * image.shape[1], image.shape[2]), np.float32)
    spread[::2, ::2] = 4 * image
    return _smoothed(spread)[:height, :width]
