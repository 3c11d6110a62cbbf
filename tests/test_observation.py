"""The observation is q(z_t | x), step by step, whatever steps led to it."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.field import Field, transformed
from diffc_stream.diffusion.observation import Observation

Floats = NDArray[np.float32]
RNG = np.random.default_rng(0)
X: Floats = RNG.standard_normal((3, 64, 64)).astype(np.float32)


def noise(shape: tuple[int, ...]) -> Floats:
    return RNG.standard_normal(shape).astype(np.float32)


def exact(x: Floats, snr: float, octave: int = 0) -> Observation:
    eta = snr * x + math.sqrt(snr) * noise(x.shape)
    return Observation.white(eta.astype(np.float32), snr, octave)


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


SHAPED = Field(ratio=0.6)
CELLS = np.repeat(np.repeat(np.exp(RNG.uniform(-1, 1, (8, 8))), 8, 0), 8, 1).astype(np.float32)


def shaped(x: Floats, snr: float, field: Field = SHAPED, scales: int = 3) -> Observation:
    bands = []
    for band, relative in zip(transformed(x, scales), field.precisions(scales), strict=True):
        precision = np.float32(snr) * relative
        eta = precision * band + np.sqrt(precision) * noise(band.shape)
        bands.append(eta.astype(np.float32))
    size = (x.shape[1], x.shape[2])
    return Observation(bands=tuple(bands), snr=snr, octave=0, size=size, field=field)


@pytest.mark.parametrize("field", [SHAPED, Field(ratio=0.8, cells=CELLS), Field(cells=CELLS)])
def test_refinement_keeps_the_shape_of_the_noise(field: Field) -> None:
    before = shaped(X, 0.5, field)
    x_hat, delta = 0.3 * X, 0.4
    y = math.sqrt(delta) * before.scaled(X - x_hat)
    y += noise(y.shape)
    assert y.size == before.dimensions
    after = before.refined(x_hat, y, delta)
    assert after.snr == pytest.approx(0.9)
    assert after.noise_variance(X) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("size", [(64, 64), (61, 47)])
def test_an_opening_brings_detail_to_its_place_in_the_field(size: tuple[int, int]) -> None:
    x = noise((3, *size))
    coarse = shaped(octaves.means(x), 2.0, scales=2)
    bands = np.zeros_like(octaves.details(x))
    root = math.sqrt(coarse.opened_snr)
    y = (root * octaves.details(x) + noise(bands.shape)).astype(np.float32)
    after = coarse.opened(bands, y, size)
    assert (after.octave, after.size) == (-1, size)
    assert after.snr == pytest.approx(2.0 * 0.6 / 4)
    assert after.noise_variance(x) == pytest.approx(1, abs=0.05)
    assert after.dimensions == sum(band.size for band in after.bands)


def test_a_part_of_an_opening_is_that_share_of_its_precision() -> None:
    coarse = shaped(octaves.means(X), 2.0, scales=2)
    bands, there = np.zeros_like(octaves.details(X)), 0.25
    root = math.sqrt(coarse.opened_snr)
    y = (root * octaves.details(X) + noise(bands.shape)).astype(np.float32)
    # Which part arrived is spread by the rotation; here, of white values, any will do.
    seen = RNG.random(bands.shape) < there
    after = coarse.opened(bands, np.where(seen, y, 0).astype(np.float32), (64, 64), received=there)
    assert after.field.share == there
    detail = after.bands[0] / np.float32(after.snr * there)
    slope = float(np.sum(detail * octaves.details(X))) / float(np.sum(octaves.details(X) ** 2))
    assert slope == pytest.approx(1, abs=0.1)
    nothing = coarse.opened(bands, bands, (64, 64), received=0.0)
    assert not nothing.bands[0].any()


def test_the_noisy_picture_is_the_picture_where_noise_is_weak() -> None:
    observation = shaped(X, 1e6)
    assert np.allclose(observation.eta / 1e6, X, atol=0.02)


def test_the_flow_ends_at_the_noise_it_is_told() -> None:
    before = shaped(X, 0.5)
    after = before.moved(X, 2.0)
    # Told the truth, it keeps of each coefficient's noise what makes it that of the new precision.
    assert after.noise_variance(X) == pytest.approx(before.noise_variance(X), rel=1e-3)
    part = Field(ratio=0.6, share=0.25)
    before = shaped(X, 0.5, part)
    after = before.moved(X, 0.5, share=1.0)
    assert after.field.share == 1.0
    assert after.noise_variance(X) == pytest.approx(before.noise_variance(X), rel=1e-3)


def test_detail_that_is_begun_has_its_share_of_precision() -> None:
    nothing = shaped(octaves.means(X), 2.0, scales=2).opened(
        np.zeros_like(octaves.details(X)), np.zeros_like(octaves.details(X)), (64, 64), received=0.0
    )
    begun = nothing.begun(octaves.details(X), noise(octaves.details(X).shape), 0.1)
    assert begun.field.share == 0.1
    assert begun.noise_variance(X) == pytest.approx(1, abs=0.05)
