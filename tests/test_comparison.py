"""What has changed between two pictures, and what that says of the older one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffc_stream.codec.comparison import compared
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.reference import fitted
from diffc_stream.diffusion.trust import Trust

Picture = NDArray[np.uint8]
SIZES = octaves.sizes(128, 192)


def scene(seed: int) -> Picture:
    """Return smooth noise: correlated as photographs are."""
    random = np.random.default_rng(seed)
    total = np.zeros((3, 128, 192), np.float32)
    for side in (1, 2, 4, 8, 16, 32):
        small = random.normal(0, 4 + side / 2, (3, 128 // side, 192 // side)).astype(np.float32)
        total += small.repeat(side, axis=1).repeat(side, axis=2)
    return np.clip(128 + total, 0, 255).astype(np.uint8).transpose(1, 2, 0).copy()


def noisy(picture: Picture, seed: int, sigma: float = 1.5) -> Picture:
    noise = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def trusted(picture: Picture, reference: Picture) -> Trust | None:
    x = [octaves.signal(picture)]
    for _ in SIZES[1:]:
        x.append(octaves.means(x[-1]))
    return compared(x, fitted(reference, SIZES))


def test_what_moved_is_found() -> None:
    before, now = noisy(scene(1), 2), noisy(scene(1), 3)
    now[40:60, 100:120] = scene(4)[40:60, 100:120]
    trust = trusted(now, before)
    assert trust is not None
    assert trust.changed[5:8, 12:15].all()
    assert trust.changed.sum() <= 20
    assert all(code & 0x0F for code in trust.codes)


def test_noise_is_not_change() -> None:
    trust = trusted(noisy(scene(1), 2), noisy(scene(1), 3))
    assert trust is not None
    assert trust.changed.mean() < 0.05


def test_another_picture_is_of_no_use() -> None:
    assert trusted(scene(1), scene(2)) is None


def test_equal_pictures_are_trusted_wholly() -> None:
    trust = trusted(scene(1), scene(1))
    assert trust is not None
    assert not trust.changed.any()
    assert all(code & 0x0F >= 0x0C for code in trust.codes)


def test_a_picture_of_one_colour_is_compared_without_trouble() -> None:
    grey = np.full((128, 192, 3), 90, np.uint8)
    for other in (grey, scene(1)):
        trusted(grey, other)
        trusted(other, grey)


def test_light_leaves_detail_of_use() -> None:
    darker = np.rint(scene(1) * 0.8).astype(np.uint8)
    trust = trusted(noisy(darker, 2), noisy(scene(1), 3))
    assert trust is not None
    assert trust.codes[2] & 0x0F >= 3
    assert trust.codes[-1] & 0x0F < trust.codes[2] & 0x0F, "the light itself has changed"
