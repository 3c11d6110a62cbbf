"""``encode``, ``decode`` and ``inspect`` of clips, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from command import run
from PIL import Image

from diffc_stream.cli import main
from diffc_stream.clips import load_footage
from diffc_stream.container.reader import checked
from diffc_stream.diffusion.architecture import Architecture
from diffc_stream.diffusion.network import save_model
from diffc_stream.diffusion.unet import UNet
from diffc_stream.picture import load_picture

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny untrained model that knows shaped noise."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "shaped.safetensors"
    save_model(path, UNet(Architecture(widths=(4, 8), blocks=(1, 1), shaped=True)), name="tiny")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures of a clip."""
    path = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(1)
    scene = np.kron(random.integers(40, 200, (6, 8, 3)), np.ones((6, 6, 1))).astype(np.uint8)
    for number in range(4):
        scene[8:16, 4 + 8 * number : 12 + 8 * number] = 250
        Image.fromarray(scene).save(path / f"{number}.png")
    return path


@pytest.fixture(scope="module")
def stream(folder: Path, weights: Path) -> Path:
    path = folder.parent / f"{folder.name}.dfc"
    options = ("--bytes", 600, "--fps", 5, "--side", 32, "--json")
    assert run("encode", folder, path, *options, weights=weights) == 0
    return path


def test_there_and_back(stream: Path, weights: Path, tmp_path: Path, capsys: Capture) -> None:
    assert stream.stat().st_size == 600
    for name in ("out.webp", "out.mp4", "out"):
        assert run("decode", stream, tmp_path / name, "--json", weights=weights) == 0
        facts = json.loads(capsys.readouterr().out)
        assert (facts["bytes"], facts["pictures"], facts["milliseconds"]) == (600, 4, 200)
        shown = load_footage(tmp_path / name, rate=5).pictures
        assert [picture.shape for picture in shown] == [(24, 32, 3)] * 4


def test_a_single_picture(stream: Path, weights: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "2.jpg"
    options = ("--picture", 2, "--max-bytes", 300)
    assert run("decode", stream, out, *options, weights=weights) == 0
    assert load_picture(out).shape == (24, 32, 3)
    assert run("decode", stream, out, "--picture", 4, weights=weights) == 5
    assert "has 4 pictures, from 0" in capsys.readouterr().err


def test_what_it_holds(stream: Path, weights: Path, capsys: Capture) -> None:
    assert run("inspect", stream, "--json", weights=weights) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["version"] == 5
    assert facts["clip"] == {"pictures": 4, "milliseconds": 200, "stride": 1}
    assert {step["picture"] for step in facts["steps"]} <= set(range(4))
    assert facts["problem"] is None
    assert run("inspect", stream, weights=weights) == 0
    assert "a clip of 4 pictures, 200 ms each" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("decode", "{stream}", "out.jpg"), "a clip is written as a folder, .webp, .gif"),
        (("decode", "{stream}", "-"), "-: a clip is written as a folder, .webp, .gif"),
        (("decode", "{stream}", "/dev/null"), "/dev/null: a clip is written as a folder"),
        (("decode", "{stream}", "out.webp", "--render", "flow"), "no --render"),
        (("decode", "{stream}", "out.webp", "--symmetries", "8"), "no --symmetries"),
        (("decode", "{stream}", "out.webp", "--reference", "{folder}/0.png"), "no --reference"),
        (("decode", "{stream}", "out.mp4", "--quality", "80"), "quality to choose as .webp only"),
        (("decode", "{stream}", "out.webp", "--max-bytes", "12"), "nothing can be decoded yet"),
        (("encode", "{folder}", "out.dfc", "--bytes", "20"), "at least"),
        (("encode", "{folder}", "out.dfc", "--bpp", "1"), "--bpp is for single pictures"),
        (("encode", "{folder}", "out.dfc", "--extend", "{stream}"), "--extend is for single"),
        (("encode", "{folder}", "out.dfc", "--simulator", "pfr"), "--simulator is for single"),
        (("encode", "{folder}", "out.dfc", "--metadata", "all"), "--metadata is for single"),
        (("encode", "{stream}", "out.dfc", "--fps", "5"), ".dfc is not read"),
        (("inspect", "{stream}", "--original", "{folder}/0.png"), "--original and --plot are for"),
    ],
)
def test_what_is_refused(
    stream: Path,
    folder: Path,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    named = [argument.format(stream=stream, folder=folder) for argument in arguments]
    assert run(*named, weights=weights)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir()), "nothing is left behind"


def test_an_animation_has_the_quality_that_is_asked_for(
    stream: Path, weights: Path, tmp_path: Path
) -> None:
    sizes = []
    for quality in (10, 100):
        out = tmp_path / f"{quality}.webp"
        assert run("decode", stream, out, "--quality", quality, weights=weights) == 0
        sizes.append(out.stat().st_size)
    assert sizes[0] < sizes[1]


def test_single_pictures_have_no_pictures(
    folder: Path, weights: Path, tmp_path: Path, capsys: Capture
) -> None:
    photo, out = tmp_path / "photo.dfc", tmp_path / "out.png"
    assert run("encode", folder / "0.png", photo, "--bytes", 200, weights=weights) == 0
    assert run("decode", photo, out, "--picture", 0, weights=weights) == 5
    assert "a single picture, which has no --picture" in capsys.readouterr().err
    assert run("decode", photo, tmp_path / "out.gif", weights=weights)
    assert "pictures are written as" in capsys.readouterr().err


def test_steps_that_cannot_be_are_damage_like_any_other(
    folder: Path, weights: Path, tmp_path: Path, capsys: Capture
) -> None:
    stream = tmp_path / "clip.dfc"
    assert run("encode", folder, stream, "--bytes", 3000, "--side", 32, weights=weights) == 0
    before = checked(stream.read_bytes())
    damaged = tmp_path / "damaged.dfc"
    damaged.write_bytes(before + b"\x50" * 40)
    capsys.readouterr()
    assert run("decode", damaged, tmp_path / "out.webp", "--json", weights=weights) == 0
    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert facts["bytes"] == len(before)
    assert captured.err == f"diffc: warning: {damaged}: {facts['warning']}\n"


def test_clips_are_not_sent_in_packets(stream: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["send-packets", str(stream), str(tmp_path / "box")]) == 5
    assert "a clip, which cannot be sent in packets" in capsys.readouterr().err
    assert not (tmp_path / "box").exists()


def test_a_folder_with_something_in_it_stays_as_it_is(
    stream: Path, weights: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder, empty = tmp_path / "folder", tmp_path / "empty"
    empty.mkdir()
    assert run("decode", stream, empty, weights=weights) == 0
    assert sorted(path.name for path in empty.iterdir()) == [f"{n}.png" for n in range(4)]
    folder.mkdir()
    (folder / "0.png").write_bytes(b"mine")
    assert run("decode", stream, folder, weights=weights) == 2
    assert "a new folder, or an empty one" in capsys.readouterr().err
    assert [path.read_bytes() for path in folder.iterdir()] == [b"mine"]
