"""The closed forms of a Gaussian agree with each other, and with samples."""

from __future__ import annotations

import numpy as np
import pytest

from diffc_stream.diffusion.analytic import GaussianSource
from diffc_stream.diffusion.gaussian import Array, Gaussian

SOURCE = Gaussian(30.0 / np.arange(1.0, 65.0) ** 1.5)
LEVELS = [0.01, 0.3, 2.0, 20.0]
RATES = [3.0, 40.0, 200.0]
"""Bits for all 64 components."""


@pytest.mark.parametrize("level", LEVELS)
def test_star_sampling_lies_on_half_the_distortion(level: float) -> None:
    """The rate of DiffC-A* at error D is exactly R(D/2)."""
    known = SOURCE.water_filling(level)
    assert SOURCE.information(known) == pytest.approx(
        SOURCE.rate(SOURCE.posterior_error(known) / 2)
    )
    np.testing.assert_allclose(SOURCE.posterior(known), np.minimum(SOURCE.variances, level))
    gamma = np.sqrt(np.minimum(1.0, level / SOURCE.variances))
    np.testing.assert_allclose(known * SOURCE.variances, (1 - gamma**2) / gamma**2, atol=1e-12)


@pytest.mark.parametrize("rate", RATES)
def test_star_sampling_is_the_best_of_all_sampling(rate: float) -> None:
    star = SOURCE.precisions_at(rate, SOURCE.water_filling, falling=True)
    least = SOURCE.posterior_error(star)
    assert least == pytest.approx(2 * SOURCE.error(rate))
    for noise in (SOURCE.isotropic, SOURCE.pink):
        assert least < SOURCE.posterior_error(SOURCE.precisions_at(rate, noise))


def test_the_flow_gains_three_decibels_at_high_rate_and_less_below() -> None:
    gains = []
    for snr in (1e-2, 1.0, 1e2, 1e4, 1e8):
        known = SOURCE.isotropic(snr)
        gains.append(10 * np.log10(SOURCE.posterior_error(known) / SOURCE.flow_error(known)))
    assert gains == sorted(gains)
    assert gains[0] < 2.0
    assert gains[-1] == pytest.approx(10 * np.log10(2), abs=1e-4)


def test_the_error_of_the_flow_is_that_of_scaling_to_the_variance() -> None:
    known = SOURCE.isotropic(0.7)
    ratios = known * SOURCE.variances
    plain = 2 * SOURCE.variances * (1 - np.sqrt(ratios / (1 + ratios)))
    assert SOURCE.flow_error(known) == pytest.approx(plain.mean())


@pytest.mark.parametrize("level", LEVELS)
def test_star_flow_is_the_best_of_all_correlations(level: float) -> None:
    """The sum of rate and error / (4 level) is convex in a_i, and nothing is below DiffC-F*."""
    a, known = SOURCE.correlations(level), SOURCE.realistic(level)
    literal = (np.sqrt(SOURCE.variances**2 + level**2) - level) / SOURCE.variances
    np.testing.assert_allclose(a, literal)
    ratios = known * SOURCE.variances
    np.testing.assert_allclose(a, np.sqrt(ratios / (1 + ratios)))

    def cost(a: Array) -> float:
        rate = -0.5 * np.log(1 - a**2).sum()
        return float(rate + (2 * SOURCE.variances * (1 - a)).sum() / (4 * level))

    rng = np.random.default_rng(0)
    for size in (1e-3, 1e-2, 0.1):
        other = np.clip(a + size * rng.standard_normal(a.shape), 0, 1 - 1e-9)
        assert cost(a) < cost(other)


@pytest.mark.parametrize("rate", RATES)
def test_star_flow_lies_between_the_flow_and_the_bound(rate: float) -> None:
    star = SOURCE.flow_error(SOURCE.precisions_at(rate, SOURCE.realistic, falling=True))
    flow = SOURCE.flow_error(SOURCE.precisions_at(rate, SOURCE.isotropic))
    assert SOURCE.error(rate) < star < flow
    # At high rate realism is free: both meet D(R).
    high = SOURCE.precisions_at(2000.0, SOURCE.realistic, falling=True)
    assert SOURCE.flow_error(high) == pytest.approx(SOURCE.error(2000.0), rel=1e-4)


def test_reverse_water_filling_of_few_components() -> None:
    two = Gaussian(np.array([4.0, 1.0]))
    assert two.rate(1.0) == pytest.approx(1.0)  # level 1: one component at 1/2 log2(4)
    assert two.rate(0.25) == pytest.approx(2.0 + 1.0)
    assert two.rate(1.75) == pytest.approx(0.5 * np.log2(4 / 2.5))
    assert two.rate(2.5) == two.rate(9.0) == 0.0
    assert two.error(3.0) == pytest.approx(0.25)


def test_pink_noise_leaves_all_components_one_ratio() -> None:
    ratios = SOURCE.pink(0.8) * SOURCE.variances
    np.testing.assert_allclose(ratios, ratios[0])
    np.testing.assert_allclose(SOURCE.pink(0.8, 0.0), SOURCE.isotropic(0.8))
    assert np.mean(1 / SOURCE.pink(0.8, 0.6)) == pytest.approx(1 / 0.8)


def test_samples_have_the_errors_and_covariances_stated() -> None:
    rng = np.random.default_rng(0)
    x = SOURCE.sample(rng, 20_000)
    for known in (SOURCE.isotropic(1.0), SOURCE.pink(1.0), SOURCE.realistic(0.5)):
        u = x + rng.standard_normal(x.shape) / np.sqrt(known)
        x_hat = SOURCE.estimate(u, known)
        drawn = x_hat + rng.standard_normal(x.shape) * np.sqrt(SOURCE.posterior(known))
        ratios = known * SOURCE.variances
        scaled = u * np.sqrt(ratios / (1 + ratios))
        for shown, expected in (
            (x_hat, SOURCE.mean_error(known)),
            (drawn, SOURCE.posterior_error(known)),
            (scaled, SOURCE.flow_error(known)),
        ):
            assert np.mean((x - shown) ** 2) == pytest.approx(expected, rel=0.02)
        for shown in (drawn, scaled):
            np.testing.assert_allclose((shown**2).mean(0), SOURCE.variances, rtol=0.05)


def test_the_information_is_half_the_error_integrated_over_snr() -> None:
    """I-MMSE (Guo, Shamai, Verdu 2005), for precisions that all grow with snr."""
    for family in (SOURCE.isotropic, SOURCE.pink):
        shape = family(1.0)
        snrs = np.geomspace(1e-6, 2.0, 4001)
        errors = np.array([(shape * SOURCE.posterior(family(snr))).sum() for snr in snrs])
        integral = np.sum((errors[1:] + errors[:-1]) / 2 * np.diff(snrs)) / (2 * np.log(2))
        assert integral == pytest.approx(SOURCE.information(family(2.0)), rel=1e-3)


def test_a_fit_finds_the_covariance_of_patches() -> None:
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((6, 6))
    patches = rng.standard_normal((50_000, 6)) @ mixing.T + 3.0
    fit = Gaussian.fitted(patches)
    exact = Gaussian.of_covariance(mixing @ mixing.T)
    np.testing.assert_allclose(fit.variances, exact.variances, rtol=0.05)
    assert (np.diff(exact.variances) < 0).all()
    values = exact.values(exact.sample(rng, 50_000))
    assert np.abs(values.T @ values / 50_000 - mixing @ mixing.T).max() < 0.5
    components = exact.sample(rng, 2)
    assert Gaussian(exact.variances).values(components) is components


def test_pictures_of_an_exact_source_are_a_gaussian_too() -> None:
    source = GaussianSource(height=32, width=32)
    gaussian = source.gaussian()
    assert gaussian.variance == pytest.approx(source.variance)
    assert source.information(2.0) == 3 * gaussian.information(gaussian.isotropic(2.0))


@pytest.mark.parametrize(
    "variances", [np.zeros(3), np.ones((2, 2)), np.array([]), np.array([1.0, np.inf])]
)
def test_what_has_no_variances_is_no_gaussian(variances: Array) -> None:
    with pytest.raises(ValueError, match="varia"):
        Gaussian(variances)


def test_a_basis_has_a_column_for_every_component() -> None:
    with pytest.raises(ValueError, match="basis"):
        Gaussian(np.ones(3), np.eye(2))
