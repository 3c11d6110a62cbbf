"""The rotation is orthogonal, shared, and spreads energy."""

import numpy as np
import pytest

from diffc_stream.channel.rotation import Rotation
from diffc_stream.channel.simulator import Address
from diffc_stream.channel.trellis import Trellis


@pytest.mark.parametrize("dims", [1, 2, 3, 7, 1023, 1024, 1152, 5000])
def test_it_is_orthogonal_and_has_an_inverse(dims: int) -> None:
    x = np.random.default_rng(dims).standard_normal(dims).astype(np.float32)
    rotation = Rotation(dims, seed=5, address=2)
    y = rotation.forward(x)
    assert np.dot(y, y) == pytest.approx(np.dot(x, x), rel=1e-5)
    assert np.allclose(rotation.inverse(y), x, atol=1e-5)


def test_both_ends_build_the_same_one_and_every_step_another() -> None:
    x = np.random.default_rng(0).standard_normal(3000).astype(np.float32)
    here = Rotation(3000, seed=1, address=4).forward(x)
    assert np.array_equal(Rotation(3000, seed=1, address=4).forward(x), here)
    assert abs(np.corrcoef(here, Rotation(3000, seed=1, address=5).forward(x))[0, 1]) < 0.1
    assert abs(np.corrcoef(here, Rotation(3000, seed=2, address=4).forward(x))[0, 1]) < 0.1


def test_energy_in_one_place_ends_up_everywhere() -> None:
    x = np.zeros(3 * 128 * 128, np.float32)
    x[:4096] = np.random.default_rng(0).standard_normal(4096)
    y = Rotation(len(x), seed=0, address=0).forward(x)
    slices = (y**2).reshape(-1, 512).mean(axis=1)
    assert slices.std() / slices.mean() < 0.15


def test_a_value_that_stands_out_is_not_told_better_than_others() -> None:
    """Without flips after the transform a codeword of the trellis would be just it."""
    for address in range(4):
        rotation = Rotation(8192, seed=0, address=address)
        outlier = np.full(8192, 0.01, np.float32)
        outlier[int(rotation.origins(1536, 1)[0])] = 10.0  # the middle of a block
        simulation = Trellis().simulate(rotation.forward(outlier), 24, Address(0, address))
        assert 0.7 < simulation.gain < 0.9


def test_it_is_pinned() -> None:
    x = np.arange(8, dtype=np.float32)
    rotated = Rotation(8, seed=3, address=1).forward(x) * np.sqrt(8)
    assert rotated.tolist() == pytest.approx(PINNED, abs=1e-4)


PINNED = [14, -14, 2, -14, 2, 6, 2, 22]
