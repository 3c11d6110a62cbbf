"""Octaves: an orthonormal transform whose low band is the coarser octave."""

import numpy as np
import pytest
from numpy.typing import NDArray

from diffc_stream.diffusion import octaves

SIZES = [(16, 16), (17, 33), (1, 1), (3, 50), (64, 31)]


def field(size: tuple[int, int]) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal((3, *size)).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_synthesis_inverts_analysis(size: tuple[int, int]) -> None:
    x = field(size)
    assert np.allclose(
        octaves.synthesis(2 * octaves.means(x), octaves.details(x), size), x, atol=1e-5
    )


def test_the_transform_is_orthonormal() -> None:
    x = field((32, 48))
    energy = np.sum((2 * octaves.means(x)) ** 2) + np.sum(octaves.details(x) ** 2)
    assert energy == pytest.approx(np.sum(x**2), rel=1e-5)


def test_sizes_halve_until_the_short_side_is_small() -> None:
    assert octaves.sizes(512, 768) == [
        (512, 768),
        (256, 384),
        (128, 192),
        (64, 96),
        (32, 48),
        (16, 24),
    ]
    assert octaves.sizes(5000, 3) == [(5000, 3)]
    assert octaves.sizes(1, 1) == [(1, 1)]
    assert octaves.sizes(33, 35)[1:] == [(17, 18), (9, 9)]


def test_pictures_survive_the_signal_scale() -> None:
    values = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    x = octaves.signal(values)
    assert x.shape == (3, 16, 16)
    assert x.min() == pytest.approx(-2)
    assert x.max() == pytest.approx(2)
    assert np.array_equal(octaves.picture(x), values)


def test_out_of_range_signals_are_clipped() -> None:
    assert octaves.picture(np.full((3, 1, 1), 9, np.float32)).tolist() == [[[255, 255, 255]]]


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (2, 1)])
def test_enlarging_keeps_flat_pictures_flat_and_hits_the_size(size: tuple[int, int]) -> None:
    flat = np.full((3, *octaves.coarser(size)), 0.7, np.float32)
    enlarged = octaves.upsampled(flat, size)
    assert enlarged.shape == (3, *size)
    assert np.allclose(enlarged, 0.7)


def test_enlarging_a_ramp_gives_the_finer_ramp() -> None:
    ramp = np.broadcast_to(np.arange(64, dtype=np.float32), (3, 64, 64))
    assert np.allclose(
        octaves.upsampled(octaves.means(ramp), (64, 64))[:, :, 4:-4], ramp[:, :, 4:-4], atol=1e-4
    )


def test_dimensions_add_up() -> None:
    fine, coarse = (17, 31), octaves.coarser((17, 31))
    assert octaves.detail_dimensions(fine) == 3 * octaves.dimensions(coarse)
    assert octaves.details(field(fine)).size == octaves.detail_dimensions(fine)


@pytest.mark.parametrize("size", [(200, 300), (65, 17), (129, 131), (333, 40), (1000, 18)])
@pytest.mark.parametrize("octave", [0, 1, 2, 4])
def test_pictures_are_enlarged_strip_by_strip_to_the_same_bytes(
    size: tuple[int, int], octave: int
) -> None:
    sizes = octaves.sizes(*size)
    octave = min(octave, len(sizes) - 1)
    x = np.random.default_rng(0).uniform(-2.2, 2.2, (3, *sizes[octave])).astype(np.float32)
    whole = octaves.picture(octaves.enlarged(x, sizes[:octave]))
    assert np.array_equal(octaves.enlarged_picture(x, sizes[:octave]), whole)
