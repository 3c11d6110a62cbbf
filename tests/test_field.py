"""A field gives every coefficient its precision, and the transform comes back."""

import numpy as np
import pytest
from numpy.typing import NDArray

from diffc_stream.diffusion.field import (
    WHITE,
    Field,
    dimensions,
    shapes,
    transformed,
    untransformed,
)

Floats = NDArray[np.float32]
RNG = np.random.default_rng(0)


def noise(*shape: int) -> Floats:
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("size", [(64, 64), (61, 93), (17, 40)])
def test_the_transform_of_any_size_comes_back(size: tuple[int, int]) -> None:
    x = noise(3, *size)
    bands = transformed(x, 3)
    assert [band.shape for band in bands] == shapes(size, 3)
    assert sum(band.size for band in bands) == dimensions(size, 3)
    assert np.allclose(untransformed(bands, size), x, atol=1e-5)


def test_the_transform_is_orthonormal() -> None:
    x = noise(3, 32, 64)
    energy = sum(float(np.square(band).sum()) for band in transformed(x, 3))
    assert energy == pytest.approx(float(np.square(x).sum()), rel=1e-5)


def test_no_transform_is_the_picture_itself() -> None:
    x = noise(3, 5, 7)
    assert transformed(x, 0)[0] is x
    assert untransformed([x], (5, 7)) is x
    assert dimensions((5, 7), 0) == x.size


def test_precision_falls_by_the_ratio_from_scale_to_scale() -> None:
    relative = Field(ratio=0.5, share=0.25).precisions(3)
    assert [float(p) for p in relative] == [0.25, 2.0, 4.0, 8.0]
    whole = Field(ratio=0.5, share=0.25).precisions(3, whole=True)
    assert [float(p) for p in whole] == [1.0, 2.0, 4.0, 8.0]


def test_white_noise_is_isotropic_and_nothing_else_is() -> None:
    assert WHITE.isotropic
    assert not Field(ratio=0.6).isotropic
    assert not Field(cells=np.ones((4, 4), np.float32)).isotropic


def test_precision_by_place_is_that_of_the_pixels_below() -> None:
    cells = np.ones((8, 8), np.float32)
    cells[:, 4:] = 3
    cells[:, 3] = 2
    finest, coarser, low = Field(ratio=0.5, cells=cells).precisions(2)
    assert isinstance(finest, np.ndarray)
    assert isinstance(coarser, np.ndarray)
    assert np.array_equal(finest[0], [1, 1.5, 3, 3])
    assert np.array_equal(coarser[0], 2 * np.array([1.25, 3], np.float32))
    assert isinstance(low, np.ndarray)
    assert np.array_equal(low[0], 2 * coarser[0])
