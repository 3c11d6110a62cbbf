"""The exact world is what it says: spectra, posterior means, information, rate."""

import numpy as np
import pytest

from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.analytic import GaussianSource

SOURCE = GaussianSource(height=32, width=64)


def test_samples_have_the_variance_stated_in_every_octave() -> None:
    rng = np.random.default_rng(0)
    x = [SOURCE.sample(rng) for _ in range(200)]
    assert np.var(x) == pytest.approx(SOURCE.variance, rel=0.05)
    halves = [octaves.means(sample) for sample in x]
    assert np.var(halves) == pytest.approx(SOURCE.spectra[16, 32].mean(), rel=0.05)


@pytest.mark.parametrize("octave", [0, 1])
@pytest.mark.parametrize("snr", [0.3, 3.0])
def test_the_posterior_mean_has_the_error_stated_and_none_is_better(
    octave: int, snr: float
) -> None:
    rng = np.random.default_rng(1)
    errors, scaled = [], []
    for _ in range(60):
        x = SOURCE.sample(rng)
        for _ in range(octave):
            x = octaves.means(x)
        eta = (snr * x + np.sqrt(snr) * rng.standard_normal(x.shape)).astype(np.float32)
        x_hat = SOURCE(eta, snr)
        errors.append(np.mean((x - x_hat) ** 2))
        scaled.append([np.mean((x - s * x_hat) ** 2) for s in (0.95, 1.05)])
    assert np.mean(errors) == pytest.approx(SOURCE.error(snr, octave), rel=0.05)
    assert np.mean(errors) < np.mean(scaled, axis=0).min()


def test_half_the_error_integrated_over_snr_is_the_information() -> None:
    """I-MMSE: d I / d snr = mmse / 2 nats per value (Guo, Shamai, Verdu 2005)."""
    snrs = np.linspace(0, 5, 2001)
    errors = np.array([SOURCE.error(snr) for snr in snrs])
    integral = np.sum((errors[1:] + errors[:-1]) / 2 * np.diff(snrs))
    bits = integral / 2 * 3 * 32 * 64 / np.log(2)
    assert bits == pytest.approx(SOURCE.information(5.0), rel=1e-3)


def test_rate_distortion_is_below_the_information_at_equal_error() -> None:
    for snr in (0.5, 5.0):
        rate, information = SOURCE.rate(SOURCE.error(snr)), SOURCE.information(snr)
        assert 0.5 * information < rate < information


def test_sources_have_fingerprints_of_their_own() -> None:
    assert SOURCE.fingerprint == GaussianSource(height=32, width=64).fingerprint
    assert SOURCE.fingerprint != GaussianSource(height=64, width=64).fingerprint
    assert len(bytes.fromhex(SOURCE.fingerprint)) == 4


def test_sides_must_be_powers_of_two() -> None:
    with pytest.raises(ValueError, match="48"):
        GaussianSource(height=48, width=64)
