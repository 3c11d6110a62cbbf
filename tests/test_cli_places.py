"""Where the command writes: files, pipes, links, and places where it cannot."""

import io
import json
import sys
from pathlib import Path

import pytest
from command import photo, run, weights
from PIL import Image

from diffc_stream.diffusion.collection import Collection
from diffc_stream.metrics import psnr
from diffc_stream.picture import load_picture

__all__ = ["photo", "weights"]
Capture = pytest.CaptureFixture[str]


def test_targets_out_of_reach_and_places_that_cannot_be_written(
    photo: Path, tmp_path: Path, weights: Path, capsys: Capture
) -> None:
    assert run("encode", photo, tmp_path / "o.dfc", "--bytes", 5, weights=weights) == 2
    assert run("encode", photo, tmp_path / "no" / "o.dfc", "--bytes", 300, weights=weights) == 1
    assert capsys.readouterr().err.count("\n") == 2
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


class Standard(io.TextIOWrapper):
    """Standard input that has something in it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))


def test_pipes_into_each_other(
    photo: Path,
    weights: Path,
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", Standard(photo.read_bytes()))
    assert run("encode", "-", "-", "--bytes", 500, weights=weights) == 0
    stream, told = capsysbinary.readouterr()
    assert len(stream) <= 500
    assert told.startswith(b"-: ")
    monkeypatch.setattr(sys, "stdin", Standard(stream))
    assert run("inspect", "-", "--json", "--original", photo, weights=weights) == 0
    assert json.loads(capsysbinary.readouterr().out)["bytes"] == len(stream)
    monkeypatch.setattr(sys, "stdin", Standard(stream))
    assert run("decode", "-", "-", "--json", weights=weights) == 0
    picture, facts = capsysbinary.readouterr()
    assert load_picture(picture).shape == (48, 40, 3)
    assert json.loads(facts)["bytes"] == len(stream)


def test_output_goes_where_a_link_leads(photo: Path, tmp_path: Path, weights: Path) -> None:
    stream, picture = tmp_path / "link.dfc", tmp_path / "link.png"
    (tmp_path / "folder").mkdir()
    stream.symlink_to("folder/a.dfc")
    picture.symlink_to("folder/a.png")
    assert run("encode", photo, stream, "--bytes", 300, weights=weights) == 0
    assert run("decode", stream, picture, weights=weights) == 0
    assert stream.is_symlink()
    assert picture.is_symlink()
    assert load_picture(tmp_path / "folder" / "a.png").shape == (48, 40, 3)


def test_output_that_cannot_be_is_told_of_before_anything_is_computed(
    photo: Path,
    tmp_path: Path,
    weights: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream, nowhere = tmp_path / "photo.dfc", tmp_path / "nowhere"
    run("encode", photo, stream, "--bytes", 300, weights=weights)
    capsys.readouterr()
    monkeypatch.setattr(Collection, "at_hand", lambda *_: pytest.fail("it computes"))
    for code, arguments in (
        (1, ("encode", photo, nowhere / "a.dfc")),
        (1, ("decode", stream, nowhere / "a.png")),
        (1, ("inspect", stream, "--plot", nowhere / "a.svg")),
        (1, ("encode", photo, tmp_path)),
        (2, ("decode", stream, tmp_path / "a.gif")),
        (2, ("decode", stream, tmp_path / "a.png", "--quality", 90)),
    ):
        assert run(*arguments, weights=weights) == code
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith(f"diffc: {arguments[-1] if code == 1 else tmp_path / 'a.'}")


@pytest.mark.parametrize("name", ["a.JPG", "a.webp", "a.avif", "a.tiff", "a.png"])
def test_the_suffix_says_what_is_written(
    name: str, photo: Path, tmp_path: Path, weights: Path
) -> None:
    stream, exact, out = tmp_path / "photo.dfc", tmp_path / "exact", tmp_path / name
    run("encode", photo, stream, "--bytes", 300, weights=weights)
    assert run("decode", stream, exact, weights=weights) == 0
    assert run("decode", stream, out, weights=weights) == 0
    with Image.open(out) as image:
        kinds = {"jpg": "JPEG", "tiff": "TIFF", "png": "PNG", "webp": "WEBP", "avif": "AVIF"}
        assert image.format == kinds[out.suffix[1:].lower()]
    assert psnr(load_picture(out), load_picture(exact)) > 18  # it is noise, hard on all of them
