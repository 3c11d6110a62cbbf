"""``encode --start`` and ``--reference``: streams that start from pictures, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from command import run
from PIL import Image

from diffc_stream.cli.references import finder
from diffc_stream.container import Header, Reference
from diffc_stream.container.reference import digest
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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures of a camera: yesterday.png and today.png."""
    random = np.random.default_rng(1)
    scene = np.kron(random.integers(40, 200, (8, 10, 3)), np.ones((6, 6, 1)))
    for name in ("yesterday", "today"):
        noise = random.normal(0, 1, scene.shape)
        picture = np.clip(np.rint(scene + noise), 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    return tmp_path


def test_there_and_back(folder: Path, weights: Path, capsys: Capture) -> None:
    stream, out = folder / "today.dfc", folder / "out.png"
    start = ("--start", folder / "yesterday.png")
    options = (*start, "--bytes", 200, "--json")
    assert run("encode", folder / "today.png", stream, *options, weights=weights) == 0
    assert json.loads(capsys.readouterr().out)["reference"] is True
    head = ("--max-bytes", Header.parse(stream.read_bytes())[1])
    assert run("decode", stream, out, *head, weights=weights) == 0, "it lies beside the stream"
    difference = load_picture(out).astype(float) - load_picture(folder / "today.png")
    assert np.abs(difference).mean() < 8
    capsys.readouterr()
    assert run("inspect", stream, "--json", weights=weights) == 0
    facts = json.loads(capsys.readouterr().out)
    size = (folder / "yesterday.png").stat().st_size
    assert (facts["version"], facts["reference"]["name"]) == (4, "yesterday.png")
    assert (facts["reference"]["bytes"], facts["reference"]["shift"]) == (size, [0, 0])
    assert run("inspect", stream, weights=weights) == 0
    assert f"starts from yesterday.png, {size:,} bytes" in capsys.readouterr().out


def test_elsewhere_the_file_has_to_be_given(folder: Path, weights: Path, capsys: Capture) -> None:
    (folder / "there").mkdir()
    stream, out = folder / "there" / "today.dfc", folder / "there" / "out.png"
    options = ("--start", folder / "yesterday.png", "--bytes", 200)
    assert run("encode", folder / "today.png", stream, *options, weights=weights) == 0
    assert run("decode", stream, out, weights=weights) == 6
    told = capsys.readouterr().err
    assert "starts from a picture that is not here (yesterday.png, " in told
    assert "--reference FILE" in told
    assert not out.exists()
    wrong = ("--reference", folder / "today.png")
    assert run("decode", stream, out, *wrong, weights=weights) == 6
    given = (*wrong, "--reference", folder / "yesterday.png")
    assert run("decode", stream, out, *given, weights=weights) == 0
    original = ("--original", folder / "today.png", "--json")
    capsys.readouterr()
    assert run("inspect", stream, *given, *original, weights=weights) == 0
    assert json.loads(capsys.readouterr().out)["quality"][0]["psnr"] > 20


def test_the_start_may_be_a_stream_that_starts_from_a_picture(
    folder: Path, weights: Path, capsys: Capture
) -> None:
    first, second, out = folder / "1.dfc", folder / "2.dfc", folder / "out.png"
    for start, stream in (("yesterday.png", first), ("1.dfc", second)):
        options = ("--start", folder / start, "--bytes", 200)
        assert run("encode", folder / "today.png", stream, *options, weights=weights) == 0
    assert run("decode", second, out, weights=weights) == 0
    moved = (folder / "yesterday.png").rename(folder / "moved.png")
    assert run("decode", second, out, weights=weights) == 6
    assert "yesterday.png" in capsys.readouterr().err
    third = ("encode", folder / "today.png", folder / "3.dfc", "--bytes", 200)
    assert run(*third, "--start", second, weights=weights) == 6
    assert "--reference FILE" in capsys.readouterr().err
    given = ("--reference", first, "--reference", moved)
    assert run(*third, "--start", second, *given, weights=weights) == 0
    assert run(*third, *given, weights=weights) == 2
    assert "--reference is what the stream of --start" in capsys.readouterr().err


def test_a_start_of_no_use_is_said_to_be(folder: Path, weights: Path, capsys: Capture) -> None:
    other = np.random.default_rng(9).integers(0, 256, (48, 60, 3), dtype=np.uint8)
    Image.fromarray(other).save(folder / "other.png")
    options = ("--start", folder / "other.png", "--bytes", 200)
    assert run("encode", folder / "today.png", folder / "x.dfc", *options, weights=weights) == 0
    assert "other.png is of no use for this picture" in capsys.readouterr().out


def test_it_is_extended_with_its_start(folder: Path, weights: Path, capsys: Capture) -> None:
    stream, longer = folder / "today.dfc", folder / "longer.dfc"
    start = ("--start", folder / "yesterday.png")
    picture = folder / "today.png"
    assert run("encode", picture, stream, *start, "--bytes", 150, weights=weights) == 0
    extend = ("--extend", stream, "--bytes", 250)
    assert run("encode", picture, longer, *extend, weights=weights) == 6
    told = capsys.readouterr().err
    assert "yesterday.png" in told
    assert "--start FILE" in told
    assert run("encode", picture, longer, *extend, *start, weights=weights) == 0
    assert longer.read_bytes().startswith(stream.read_bytes())


def test_it_is_extended_as_before_if_its_start_has_grown(folder: Path, weights: Path) -> None:
    start, stream = folder / "yesterday.dfc", folder / "today.dfc"
    before, after = folder / "before.dfc", folder / "after.dfc"
    earlier, later = folder / "yesterday.png", folder / "today.png"
    assert run("encode", earlier, start, "--bytes", 200, weights=weights) == 0
    options = ("--start", start, "--bytes")
    assert run("encode", later, stream, *options, 120, weights=weights) == 0
    assert Header.parse(stream.read_bytes())[0].reference is not None
    more = ("--extend", stream, *options, 400)
    assert run("encode", later, before, *more, weights=weights) == 0
    grown = ("--extend", start, "--bytes", 900)
    assert run("encode", earlier, start, *grown, weights=weights) == 0
    assert start.stat().st_size > 200
    assert run("encode", later, after, *more, weights=weights) == 0
    assert after.read_bytes() == before.read_bytes()


@pytest.mark.parametrize("name", ["../yesterday.png", "..", "a\\b", "/etc/passwd", "C:x", "\x1b"])
def test_names_that_lead_elsewhere_are_not_followed(name: str, folder: Path) -> None:
    data = (folder / "yesterday.png").read_bytes()
    (folder / "below").mkdir()
    reference = Reference(size=len(data), digest=digest(data), name=name, trust=b"\x00")
    assert finder(folder / "below" / "x.dfc", [])(reference) is None


@pytest.mark.parametrize(
    ("start", "code", "told"),
    [
        ("missing.png", 1, "missing.png"),
        ("text.txt", 4, "text.txt: picture of 5 bytes: not a picture"),
    ],
)
def test_wrong_starts(
    start: str, code: int, told: str, folder: Path, weights: Path, capsys: Capture
) -> None:
    (folder / "text.txt").write_text("hello")
    options = ("--start", folder / start, "--bytes", 200)
    out = folder / "x.dfc"
    assert run("encode", folder / "today.png", out, *options, weights=weights) == code
    [line] = capsys.readouterr().err.splitlines()
    assert told in line
    assert not out.exists()


def test_a_region_sharpens_first(folder: Path, weights: Path, capsys: Capture) -> None:
    whole, part, out = folder / "whole.dfc", folder / "part.dfc", folder / "out.png"
    picture = folder / "today.png"
    assert run("encode", picture, whole, "--bytes", 300, weights=weights) == 0
    region = ("--region", "20,8,30,24", "--start", whole)
    assert run("encode", picture, part, *region, "--bytes", 400, weights=weights) == 0
    assert run("decode", part, out, weights=weights) == 0
    shown = load_picture(out)
    assert shown.shape == (24, 30, 3)
    assert run("decode", part, out, "--whole", weights=weights) == 0
    pasted = load_picture(out)
    np.testing.assert_array_equal(pasted[8:32, 20:50], shown)
    assert run("decode", whole, folder / "w.png", "--symmetries", 1, weights=weights) == 0
    around = load_picture(folder / "w.png")
    np.testing.assert_array_equal(pasted[:8], around[:8])
    assert run("decode", part, out, "--whole", "--max-side", 40, weights=weights) == 2
    assert "--whole shows the picture in full size" in capsys.readouterr().err
    assert run("decode", whole, out, "--whole", weights=weights) == 5
    assert "starts from no picture that --whole could show" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("region", "told"),
    [
        ("50,0,20,20", "reaches beyond the picture, which has 60x48 pixels"),
        ("1,2,3", "is not LEFT,TOP,WIDTH,HEIGHT"),
        ("-1,0,5,5", "is not LEFT,TOP,WIDTH,HEIGHT"),
        ("0,0,0,5", "is not LEFT,TOP,WIDTH,HEIGHT"),
    ],
)
def test_wrong_regions(
    region: str, told: str, folder: Path, weights: Path, capsys: Capture
) -> None:
    out = folder / "x.dfc"
    try:
        code = run("encode", folder / "today.png", out, f"--region={region}", weights=weights)
    except SystemExit as end:
        code = int(str(end.code))
    assert code == 2
    assert told in capsys.readouterr().err
    assert not out.exists()


def test_a_region_of_another_picture(folder: Path, weights: Path, capsys: Capture) -> None:
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(folder / "small.png")
    options = ("--region", "0,0,30,24", "--start", folder / "small.png")
    assert run("encode", folder / "today.png", folder / "x.dfc", *options, weights=weights) == 2
    assert "has to be as large as the picture, 60x48 pixels" in capsys.readouterr().err


def test_what_is_needed_is_not_replaced(folder: Path, weights: Path, capsys: Capture) -> None:
    start, picture, stream = folder / "yesterday.png", folder / "today.png", folder / "today.dfc"
    (folder / "link.png").symlink_to(picture)
    options = ("--start", start, "--bytes", 200)
    assert run("encode", picture, stream, *options, weights=weights) == 0
    capsys.readouterr()
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for arguments in (
        ("encode", picture, start, *options),
        ("encode", picture, picture, "--bytes", 200),
        ("encode", picture, folder / "link.png", "--bytes", 200),
        ("decode", stream, start),
        ("decode", stream, picture, "--reference", picture),
        ("inspect", stream, "--original", picture, "--plot", picture),
        ("receive-packets", folder, picture, "--stream", picture),
        ("receive-packets", folder, start, "--reference", start),
    ):
        assert run(*arguments, weights=weights) == 2, arguments
        assert "name another file" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    longer = ("--start", start, "--bytes", 300, "--extend", stream)
    assert run("encode", picture, stream, *longer, weights=weights) == 0
