"""Model files: what is written is what is computed with, and nothing else loads."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from diffc_stream.diffusion.architecture import Architecture
from diffc_stream.diffusion.collection import DEFAULT, default_model
from diffc_stream.diffusion.model import load_model
from diffc_stream.diffusion.network import save_model
from diffc_stream.diffusion.unet import UNet
from diffc_stream.diffusion.weights import read_weights, rounded, write_weights
from diffc_stream.errors import UnreadableModel

SMALL = Architecture(widths=(4, 8), blocks=(1, 1))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "tiny.safetensors"
    save_model(path, UNet(SMALL), name="tiny")
    return path


def test_a_model_reads_back_with_its_fingerprint(file: Path) -> None:
    torch.manual_seed(0)
    again = save_model(file.with_name("again.safetensors"), UNet(SMALL), name="other")
    model = load_model(file)
    assert (model.name, model.fingerprint) == ("tiny", again)
    assert len(bytes.fromhex(model.fingerprint)) == 4


def test_other_weights_have_another_fingerprint(file: Path) -> None:
    torch.manual_seed(1)
    other = save_model(file.with_name("other.safetensors"), UNet(SMALL), name="tiny")
    assert other != load_model(file).fingerprint


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (16, 16), (17, 23)])
def test_any_size_is_denoised_within_range(file: Path, size: tuple[int, int]) -> None:
    denoiser = load_model(file).denoiser
    eta = np.random.default_rng(0).standard_normal((3, *size)).astype(np.float32) * 9
    x_hat = denoiser(eta, 2.0)
    assert x_hat.shape == eta.shape
    assert x_hat.dtype == np.float32
    assert np.abs(x_hat).max() <= 2


def test_files_that_are_no_models_are_refused_in_one_line(tmp_path: Path, file: Path) -> None:
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(b"hello")
    truncated = tmp_path / "truncated.safetensors"
    truncated.write_bytes(file.read_bytes()[:-100])
    bare = tmp_path / "bare.safetensors"
    save_file({"weight": torch.zeros(2)}, bare)
    for path in (foreign, truncated, bare, tmp_path / "missing", tmp_path):
        with pytest.raises(UnreadableModel) as caught:
            load_model(path)
        assert "\n" not in str(caught.value)


def test_the_default_model_denoises() -> None:
    """A weak bound on a smooth picture: it is the benchmarks that measure quality."""
    ramp = np.linspace(-1.5, 1.5, 64, dtype=np.float32)
    x = np.broadcast_to(ramp[None, None, :] * ramp[None, :, None] / 1.5, (3, 64, 64))
    rng = np.random.default_rng(0)
    for snr in (0.5, 4.0, 30.0):
        eta = (snr * x + np.sqrt(snr) * rng.standard_normal(x.shape)).astype(np.float32)
        error = np.mean((default_model().denoiser(eta, snr) - x) ** 2)
        assert error < 0.15 / snr


def test_weights_of_another_architecture_are_refused(file: Path) -> None:
    description, weights = read_weights(file)
    other = Architecture(widths=(4, 8), blocks=(2, 1))
    write_weights(file, other, rounded(weights), name=description.name)
    with pytest.raises(UnreadableModel, match="do not fit"):
        load_model(file)


def test_evaluations_on_threads_are_those_alone() -> None:
    denoiser = default_model().denoiser
    rng = np.random.default_rng(0)
    etas = [rng.standard_normal((3, 16 + 8 * i, 24)).astype(np.float32) for i in range(4)]
    alone = [denoiser(eta, 2.0) for eta in etas]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda eta: denoiser(eta, 2.0), etas))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_default_model_is_small_and_has_a_card() -> None:
    assert DEFAULT.stat().st_size <= 4_000_000
    card = DEFAULT.with_suffix(".md").read_text()
    assert default_model().fingerprint in card
