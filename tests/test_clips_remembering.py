"""A denoiser that remembers."""

import numpy as np
import pytest
from numpy.typing import NDArray

from diffc_stream.clips.remembering import MOST, Remembering
from diffc_stream.diffusion.field import WHITE, Field

Floats = NDArray[np.float32]


class Counting:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, eta: Floats, snr: float, field: Field = WHITE, /) -> Floats:
        self.asked += 1
        return eta * np.float32(snr)


def test_what_is_the_same_is_asked_once() -> None:
    inner = Counting()
    denoiser = Remembering(inner)
    eta = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    first = denoiser(eta, 2.0)
    assert np.array_equal(denoiser(eta.copy(), 2.0), first)
    assert inner.asked == 1
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


def test_what_differs_is_asked_again() -> None:
    inner = Counting()
    denoiser = Remembering(inner)
    eta = np.ones((3, 4, 5), np.float32)
    for other in (
        (eta, 2.0, WHITE),
        (eta, 3.0, WHITE),
        (eta, 2.0, Field(ratio=0.5)),
        (eta.reshape(3, 5, 4), 2.0, WHITE),
        (2 * eta, 2.0, WHITE),
    ):
        denoiser(*other)
    assert inner.asked == 5


def test_only_so_many_are_kept() -> None:
    inner = Counting()
    denoiser = Remembering(inner)
    for value in [*range(MOST + 1), 0, MOST]:
        denoiser(np.full((3, 2, 2), value, np.float32), 1.0)
    assert inner.asked == MOST + 2
