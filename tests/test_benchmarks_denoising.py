"""Denoising is measured in the units of papers, on a denoiser that is known exactly."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffc_benchmarks import denoising
from diffc_stream.diffusion.collection import DEFAULT
from diffc_stream.diffusion.field import WHITE, Field
from diffc_stream.diffusion.model import Model

Floats = NDArray[np.float32]


def observed(eta: Floats, snr: float, field: Field = WHITE) -> Floats:
    """Take nothing away: what is observed is the estimate."""
    x_hat: Floats = eta / np.float32(snr)
    return x_hat


MODEL = Model(name="none", fingerprint="00000000", denoiser=observed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    grey = np.full((40, 48, 3), 127, np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey + 40).save(tmp_path / "light.png")
    return tmp_path


@pytest.mark.parametrize("sigma", [15.0, 50.0])
def test_sigma_is_in_grey_levels(sigma: float) -> None:
    x = np.zeros((3, 64, 64), np.float32)
    psnr = denoising.denoised(MODEL, x, sigma, np.random.default_rng(0))
    assert psnr == pytest.approx(20 * np.log10(255 / sigma), abs=0.1)


def test_models_are_compared_over_pictures(folder: Path) -> None:
    paths = sorted(folder.iterdir())
    told: list[None] = []
    result = denoising.measured(MODEL, paths, (15.0, 25.0), lambda: told.append(None))
    assert len(told) == 4
    assert list(result.psnr[25.0]) == ["grey.png", "light.png"]
    assert result.mean(15.0) == pytest.approx(np.mean(list(result.psnr[15.0].values())))
    first, _, row = denoising.table([result]).split("\n")
    assert first == "| model | sigma 15 | sigma 25 |"
    assert row.startswith("| none 00000000 | 24.6")


def test_the_command_measures_and_refuses(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--images", str(folder), "--every", "2", "--sigma", "25"]
    assert denoising.main([*common, "--model", str(DEFAULT), "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["model"] == "small 6c137b2c"
    assert result["psnr"]["25.0"]["grey.png"] > 35  # of a flat picture nearly all noise goes
    assert denoising.main(["--images", str(folder / "missing")]) == 4
    assert capsys.readouterr().err == f"denoising: {folder / 'missing'}: not a folder\n"
    for wrong in (["--sigma", "0"], ["--every", "0"]):
        with pytest.raises(SystemExit):
            denoising.main([*common, *wrong])
