"""What runs a model: what is there, in order of preference, or what was asked for."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from diffc_stream.diffusion.architecture import Architecture
from diffc_stream.diffusion.collection import DEFAULT
from diffc_stream.diffusion.engine import VARIABLE, Engine, chosen, engines
from diffc_stream.diffusion.model import load_model
from diffc_stream.diffusion.network import save_model
from diffc_stream.diffusion.unet import UNet
from diffc_stream.errors import MissingPackage, UnknownEngine, UnreadableModel


@pytest.fixture(autouse=True)
def _nothing_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A model without a graph."""
    path = tmp_path / "tiny.safetensors"
    save_model(path, UNet(Architecture(widths=(4, 8), blocks=(1, 1))), name="tiny")
    return path


def test_onnxruntime_is_preferred() -> None:
    assert engines(DEFAULT) == (Engine.ONNXRUNTIME, Engine.TORCH)
    assert chosen(DEFAULT) is Engine.ONNXRUNTIME


def test_a_model_without_a_graph_runs_on_torch(bare: Path) -> None:
    assert engines(bare) == (Engine.TORCH,)
    assert load_model(bare).denoiser(np.zeros((3, 9, 7), np.float32), 1.0).shape == (3, 9, 7)
    with pytest.raises(UnreadableModel, match=r"no graph tiny\.onnx beside it, which ONNX Runtime"):
        load_model(bare, Engine.ONNXRUNTIME)


@pytest.mark.usefixtures("without_torch")
def test_without_torch_a_model_needs_its_graph(bare: Path) -> None:
    assert engines(DEFAULT) == (Engine.ONNXRUNTIME,)
    assert engines(bare) == ()
    with pytest.raises(UnreadableModel, match=r"no graph tiny\.onnx .*stream\[torch\]") as no:
        load_model(bare)
    assert "\n" not in str(no.value)
    with pytest.raises(MissingPackage, match=r"diffc-stream\[torch\]"):
        load_model(DEFAULT, Engine.TORCH)


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, engine in (
        ("", Engine.ONNXRUNTIME),
        ("torch", Engine.TORCH),
        ("onnxruntime", Engine.ONNXRUNTIME),
    ):
        monkeypatch.setenv(VARIABLE, text)
        assert chosen(DEFAULT) is engine
        assert chosen(DEFAULT, Engine.TORCH) is Engine.TORCH
    monkeypatch.setenv(VARIABLE, "abacus")
    with pytest.raises(UnknownEngine, match="'abacus', which is neither onnxruntime nor torch"):
        chosen(DEFAULT)


@pytest.mark.parametrize("size", [(24, 40), (17, 23)])
def test_all_engines_compute_the_same(size: tuple[int, int]) -> None:
    threads = torch.get_num_threads()
    denoisers = [load_model(DEFAULT, engine).denoiser for engine in Engine]
    noise = np.random.default_rng(0).standard_normal((3, *size))
    x = np.broadcast_to(np.linspace(-1, 1, size[1]), noise.shape)
    for snr in (0.01, 1.0, 200.0):
        eta = (snr * x + snr**0.5 * noise).astype(np.float32)
        before = eta.copy()
        one, other = (denoiser(eta, snr) for denoiser in denoisers)
        assert one.dtype == other.dtype == np.float32
        np.testing.assert_allclose(one, other, atol=1e-4)
        np.testing.assert_array_equal(eta, before)
    assert torch.get_num_threads() == threads


def test_a_renamed_model_keeps_its_graph(tmp_path: Path) -> None:
    for path in (DEFAULT, DEFAULT.with_suffix(".onnx")):
        shutil.copyfile(path, tmp_path / f"mine{path.suffix}")
    assert load_model(tmp_path / "mine.safetensors", Engine.ONNXRUNTIME).name == "small"
