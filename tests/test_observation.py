"""The observation is q(z_t | x), step by step, whatever steps led to it."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.observation import Observation

Floats = NDArray[np.float32]
RNG = np.random.default_rng(0)
X: Floats = RNG.standard_normal((3, 64, 64)).astype(np.float32)


def noise(shape: tuple[int, ...]) -> Floats:
    return RNG.standard_normal(shape).astype(np.float32)


def exact(x: Floats, snr: float, octave: int = 0) -> Observation:
    eta = snr * x + math.sqrt(snr) * noise(x.shape)
    return Observation(eta=eta.astype(np.float32), snr=snr, octave=octave)


def test_nothing_is_known_at_first() -> None:
    nothing = Observation.nothing((4, 5), 2)
    assert not nothing.eta.any()
    assert nothing.snr == 0
    assert not nothing.z().any()
    assert nothing.log_snr == -math.inf


def test_refinement_with_a_posterior_sample_leaves_white_noise_at_the_new_snr() -> None:
    before = exact(X, 0.5)
    x_hat = 0.3 * X
    delta = 0.4
    y = math.sqrt(delta) * (X - x_hat) + noise(X.shape)
    after = before.refined(x_hat, y.astype(np.float32), delta)
    assert after.snr == pytest.approx(0.9)
    assert after.noise_variance(X) == pytest.approx(1, abs=0.03)


def test_refinement_does_not_depend_on_the_prediction_but_for_rounding() -> None:
    before, n, delta = exact(X, 0.5), noise(X.shape), 0.4
    results = []
    for x_hat in (np.zeros_like(X), X, 5 * X):
        y = math.sqrt(delta) * (X - x_hat) + n
        results.append(before.refined(x_hat, y.astype(np.float32), delta).eta)
    assert np.allclose(results[0], results[1], atol=1e-4)
    assert np.allclose(results[0], results[2], atol=1e-4)


def test_half_a_sample_gains_half_the_snr() -> None:
    before = exact(X, 0.5)
    x_hat, delta = np.zeros_like(X), 0.4
    y = math.sqrt(delta) * X + noise(X.shape)
    y.reshape(-1)[X.size // 2 :] = 0
    # Which half arrived is spread by the rotation; here, of white values, any half will do.
    seen = X.copy()
    seen.reshape(-1)[X.size // 2 :] = 0
    after = before.refined(x_hat, y.astype(np.float32), delta, received=0.5)
    assert after.snr == pytest.approx(0.7)
    gained = after.eta - before.eta - delta * seen
    assert np.var(gained) == pytest.approx(delta / 2, rel=0.1)


def test_opening_keeps_the_coarse_octave_and_its_noise_white() -> None:
    before = exact(octaves.means(X), 2.0, octave=1)
    bands = octaves.details(X)
    snr = before.snr / 4
    y = noise(bands.shape)
    after = before.opened(bands, y, (64, 64))
    assert (after.octave, after.snr, after.size) == (0, snr, (64, 64))
    assert after.noise_variance(X) == pytest.approx(1, abs=0.04)
    white = (after.eta - snr * X) / math.sqrt(snr)
    low = 2 * octaves.means(white.astype(np.float32))
    assert np.var(low) == pytest.approx(1, abs=0.06)
    assert np.allclose(octaves.means(after.eta), before.eta / 4, atol=1e-4)


@pytest.mark.parametrize("snr", [0.01, 1.0, 50.0])
def test_z_is_the_variance_preserving_form(snr: float) -> None:
    observation = exact(X, snr)
    n = (observation.eta - snr * X) / math.sqrt(snr)
    alpha, sigma = math.sqrt(snr / (1 + snr)), math.sqrt(1 / (1 + snr))
    assert np.allclose(observation.z(), alpha * X + sigma * n, atol=1e-4)
