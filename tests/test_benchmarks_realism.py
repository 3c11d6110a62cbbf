"""Distances that are known: none, that of blur, that of noise, and their order."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from diffc_benchmarks.realism import LEVELS, laplacian, level_distances, patch_distance


def noise(seed: int = 0, deviation: float = 30.0) -> NDArray[np.uint8]:
    values = np.random.default_rng(seed).normal(128, deviation, (96, 80, 3))
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def flat() -> NDArray[np.uint8]:
    return np.full((96, 80, 3), 128, np.uint8)


def test_pictures_are_no_distance_from_themselves() -> None:
    assert patch_distance([noise(0), noise(1)], [noise(0), noise(1)]) == 0.0


def test_a_picture_without_detail_is_one_away_at_every_level() -> None:
    assert level_distances([noise()], [flat()]) == pytest.approx([1.0] * LEVELS, abs=0.15)


def test_another_sample_of_the_same_distribution_is_nearer_than_any_blur() -> None:
    truth, sample = noise(0), noise(1)
    half = np.round((truth.astype(np.float64) + 128) / 2).astype(np.uint8)
    near, far = patch_distance([truth], [sample]), patch_distance([truth], [half])
    assert far == pytest.approx(0.5, abs=0.05)
    assert near < 0.5 * far


def test_too_much_detail_is_a_distance_too() -> None:
    assert patch_distance([noise(0, 20.0)], [noise(0, 40.0)]) == pytest.approx(1.0, abs=0.1)


def test_fine_noise_is_seen_at_the_fine_level() -> None:
    smooth = np.repeat(np.repeat(noise()[:12, :10], 8, axis=0), 8, axis=1)
    rough = np.clip(smooth.astype(int) + noise() - 128, 0, 255).astype(np.uint8)
    distances = level_distances([smooth], [rough])
    assert distances[0] > 1 > 0.2 > max(distances[2:])


def test_the_same_every_time() -> None:
    assert patch_distance([noise(0)], [noise(1)]) == patch_distance([noise(0)], [noise(1)])


def test_the_pyramid_of_a_flat_picture_is_empty() -> None:
    levels = laplacian(flat())
    assert [level.shape for level in levels] == [(96 >> k, 80 >> k, 3) for k in range(LEVELS)]
    assert all(np.abs(level).max() < 1e-3 for level in levels)


def test_small_pictures_have_fewer_levels() -> None:
    assert len(level_distances([noise()[:20, :20]], [noise(1)[:20, :20]])) == 2


@pytest.mark.parametrize(
    ("originals", "reconstructions"),
    [
        pytest.param([], [], id="none"),
        pytest.param([flat()], [flat()[1:]], id="shapes"),
        pytest.param([flat()], [], id="counts"),
        pytest.param([flat()[:5]], [flat()[:5]], id="small"),
    ],
)
def test_what_cannot_be_compared(
    originals: list[NDArray[np.uint8]], reconstructions: list[NDArray[np.uint8]]
) -> None:
    with pytest.raises(ValueError, match="pictures"):
        patch_distance(originals, reconstructions)
