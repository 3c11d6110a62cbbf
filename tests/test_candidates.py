"""Candidates: the same alone and together, compiled or not, and normal."""

import numpy as np
import pytest
from goodness import misfits

from diffc_stream.channel import candidates
from diffc_stream.channel.simulator import Address

HERE = Address(seed=7, step=3)


def test_candidates_are_the_same_alone_and_together() -> None:
    part = np.round(np.random.default_rng(0).standard_normal(13) * 1024) / 1024
    products, squares = candidates.scores(HERE, 5, range(10, 40), part)
    for i, number in enumerate(range(10, 40)):
        z = candidates.draw(HERE, np.array([5]), np.array([number]), range(13))[0]
        assert (products[i], squares[i]) == (z @ part, z @ z)
        tail = candidates.draw(HERE, np.array([5]), np.array([number]), range(8, 13))[0]
        assert np.array_equal(tail, z[8:])
    gaps = candidates.exponentials(HERE, 5, range(1, 40))
    assert np.array_equal(candidates.exponentials(HERE, 5, range(17, 30)), gaps[16:29])
    assert gaps.min() > 0


def test_candidates_are_normal() -> None:
    z = candidates.draw(HERE, np.arange(5_000), np.arange(5_000), range(4)) * candidates.unit(0.0)
    found = misfits(z, np.random.default_rng(1).standard_normal(z.shape))
    assert max(found.values()) < 1, found
    assert np.abs(z).max() < 5.14


def test_compiled_scores_are_the_same() -> None:
    pytest.importorskip("numba")
    compiled = candidates.compiled_scores()
    assert compiled is not None
    part = np.round(np.random.default_rng(0).standard_normal(37) * 1024) / 1024
    for here, chunk, numbers in (
        (HERE, 5, range(1, 60)),
        (Address(2**32 - 1, 2**31 - 1), 0, range(9, 12)),
    ):
        for slow, fast in zip(
            candidates.scores(here, chunk, numbers, part),
            compiled(here, chunk, numbers, part),
            strict=True,
        ):
            assert np.array_equal(slow, fast)
