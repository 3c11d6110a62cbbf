"""Measures of pictures, against what is known of them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from diffc_benchmarks.quality import Quality, ms_ssim, ssimulacra2
from diffc_stream.metrics import psnr


def ramp(side: int = 192) -> NDArray[np.uint8]:
    y, x = np.mgrid[:side, :side]
    waves = 128 + 50 * np.sin(x / 3) + 50 * np.cos(y / 7)
    return np.repeat(waves[:, :, None], 3, axis=2).astype(np.uint8)


def noisy(deviation: float) -> NDArray[np.uint8]:
    noise = np.random.default_rng(1).normal(0, deviation, ramp().shape)
    return np.clip(np.round(ramp() + noise), 0, 255).astype(np.uint8)


def test_equal_pictures_are_alike() -> None:
    assert ms_ssim(ramp(), ramp()) == pytest.approx(1.0, abs=1e-6)


def test_more_noise_is_less_alike() -> None:
    values = [ms_ssim(ramp(), noisy(deviation)) for deviation in (2, 10, 40)]
    assert 1 > values[0] > values[1] > values[2] > 0


def test_similarity_is_symmetric() -> None:
    assert ms_ssim(ramp(), noisy(10)) == pytest.approx(ms_ssim(noisy(10), ramp()), abs=1e-6)


def test_only_luminance_of_the_coarsest_scale_counts() -> None:
    # A shift of both means m and m + 20 leaves contrast and structure alone; only the last of
    # five scales, of weight 0.1333, compares means.
    flat = np.full((192, 192, 3), 100, np.uint8)
    c = (0.01 * 255) ** 2
    expected = ((2 * 100 * 120 + c) / (100**2 + 120**2 + c)) ** 0.1333
    assert ms_ssim(flat, flat + 20) == pytest.approx(expected, abs=1e-4)


def test_small_pictures_have_fewer_scales() -> None:
    assert ms_ssim(ramp(11), ramp(11)) == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(ValueError, match="MS-SSIM"):
        ms_ssim(ramp(10), ramp(10))


def test_shapes_have_to_be_equal() -> None:
    with pytest.raises(ValueError, match="MS-SSIM"):
        ms_ssim(ramp(20), ramp(21))


def test_ssimulacra2_of_a_copy_is_100() -> None:
    pytest.importorskip("ssimulacra2")
    same, other = ssimulacra2(ramp(), ramp()), ssimulacra2(noisy(10), ramp())
    assert same == pytest.approx(100.0)
    assert other is not None
    assert other < 90


def test_all_measures_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffc_benchmarks.quality.find_spec", lambda name: None)
    quality = Quality.of(noisy(10), ramp())
    assert quality.psnr == psnr(noisy(10), ramp())
    assert quality.ssimulacra2 is None
    assert 0 < quality.patches < 1 > quality.ms_ssim > 0
