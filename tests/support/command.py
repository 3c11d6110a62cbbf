"""The command, with a tiny model and a photograph."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from diffc_stream import cli
from diffc_stream.diffusion.architecture import Architecture
from diffc_stream.diffusion.network import save_model
from diffc_stream.diffusion.unet import UNet


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny untrained model: the command's behaviour does not need a good one."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_model(path, UNet(Architecture(widths=(4, 8), blocks=(1, 1))), name="tiny")
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    ramp = np.linspace(0, 255, 48 * 40 * 3).reshape(48, 40, 3).astype(np.uint8)
    Image.fromarray(ramp).save(path)
    return path


def run(*arguments: object, weights: Path) -> int:
    return cli.main([*map(str, arguments), "--model", str(weights)])
