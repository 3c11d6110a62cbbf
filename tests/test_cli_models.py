"""Models that the command is given, keeps, lists and refuses."""

import json
from pathlib import Path

import pytest
import torch
from command import photo, run, weights

from diffc_stream import cli
from diffc_stream.diffusion.architecture import Architecture
from diffc_stream.diffusion.collection import default_model
from diffc_stream.diffusion.model import load_model
from diffc_stream.diffusion.network import save_model
from diffc_stream.diffusion.unet import UNet

__all__ = ["photo", "weights"]
Capture = pytest.CaptureFixture[str]


def test_another_model_is_named_and_refused(
    photo: Path, tmp_path: Path, weights: Path, capsys: Capture
) -> None:
    stream = tmp_path / "photo.dfc"
    run("encode", photo, stream, "--bytes", 300, weights=weights)
    torch.manual_seed(1)
    other = tmp_path / "other.safetensors"
    save_model(other, UNet(Architecture(widths=(4, 8), blocks=(1, 1))), name="other")
    capsys.readouterr()
    for more in ([], ["--model", str(other)]):
        assert cli.main(["decode", str(stream), str(tmp_path / "out.png"), *more]) == 6
        [line] = capsys.readouterr().err.splitlines()
        assert f"needs the model {load_model(weights).fingerprint}" in line
        assert "--model FILE or diffc models add FILE" in line
    # Without it, what the stream holds is still listed, though not decoded.
    assert cli.main(["inspect", str(stream)]) == 0
    assert cli.main(["inspect", str(stream), "--original", str(photo)]) == 6
    assert not (tmp_path / "out.png").exists()


def test_a_model_once_added_is_found(
    photo: Path,
    tmp_path: Path,
    weights: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DIFFC_MODELS", str(tmp_path / "models"))
    stream, out = tmp_path / "photo.dfc", tmp_path / "out.png"
    run("encode", photo, stream, "--bytes", 300, weights=weights)
    assert cli.main(["decode", str(stream), str(out)]) == 6
    assert cli.main(["models", "add", str(weights)]) == 0
    assert cli.main(["decode", str(stream), str(out)]) == 0
    assert cli.main(["inspect", str(stream), "--original", str(photo)]) == 0
    # It is not what streams are made with from now on.
    capsys.readouterr()
    assert cli.main(["encode", str(photo), str(stream), "--bytes", "300"]) == 0
    assert cli.main(["inspect", str(stream), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert shown["model"] == default_model().fingerprint


def test_models_are_listed(
    tmp_path: Path, weights: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFFC_MODELS", str(tmp_path))
    fingerprint = load_model(weights).fingerprint
    assert cli.main(["models", "--json", "add", str(weights)]) == 0
    added = json.loads(capsys.readouterr().out)
    copy = tmp_path / f"tiny-{fingerprint}.safetensors"
    assert added == {
        "models": [
            {
                "name": "tiny",
                "fingerprint": fingerprint,
                "parameters": added["models"][0]["parameters"],
                "bytes": weights.stat().st_size,
                "engines": ["torch"],
                "default": False,
                "path": str(copy),
            }
        ],
        "folder": str(tmp_path),
    }
    assert cli.main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["models"]
    assert listed[0]["fingerprint"] == default_model().fingerprint
    assert [model["default"] for model in listed] == [True] + [False] * (len(listed) - 1)
    assert added["models"][0] in listed
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    assert cli.main(["models"]) == 0
    captured = capsys.readouterr()
    assert captured.err.startswith("diffc: warning: ")
    assert captured.err.count("\n") == 1
    lines = captured.out.splitlines()
    assert len(lines) == len(listed)
    assert "default" in lines[0]
    assert any(fingerprint in line and str(copy) in line for line in lines)


def test_what_is_no_model_is_not_added(
    photo: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFFC_MODELS", str(tmp_path / "models"))
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"no")
    assert cli.main(["models", "add", str(bad)]) == 6
    assert run("encode", photo, tmp_path / "a.dfc", weights=bad) == 6
    assert capsys.readouterr().err.count("\n") == 2
    assert not (tmp_path / "models").exists()
