"""Symmetries undo themselves, are all different, and averaging over them takes out their noise."""

import numpy as np
import pytest
from numpy.typing import NDArray

from diffc_stream.diffusion import symmetry

X = np.arange(3 * 4 * 6, dtype=np.float32).reshape(3, 4, 6)


@pytest.mark.parametrize("number", range(symmetry.COUNT))
def test_each_is_undone(number: int) -> None:
    turned = symmetry.turned(X, number)
    assert turned.flags.c_contiguous
    assert turned.shape == ((3, 6, 4) if number & 4 else (3, 4, 6))
    np.testing.assert_array_equal(symmetry.turned_back(turned, number), X)


def test_all_differ() -> None:
    square = X[:, :4, :4]
    seen = {symmetry.turned(square, number).tobytes() for number in range(symmetry.COUNT)}
    assert len(seen) == symmetry.COUNT


def test_an_estimate_that_turns_with_the_picture_is_left_as_it_is() -> None:
    mean = symmetry.averaged(lambda x: x * x, X, symmetry.COUNT)
    np.testing.assert_allclose(mean, X * X, rtol=1e-6)


def test_what_depends_on_the_turn_is_averaged_out() -> None:
    def leaning(x: NDArray[np.float32]) -> NDArray[np.float32]:
        return x + np.linspace(-1, 1, x.shape[-1], dtype=np.float32)

    assert symmetry.averaged(leaning, X, 1).tobytes() == leaning(X).tobytes()
    np.testing.assert_allclose(symmetry.averaged(leaning, X, 2), X, atol=1e-5)
