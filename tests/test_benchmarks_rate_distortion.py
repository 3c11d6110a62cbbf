"""The whole comparison on tiny pictures, where matplotlib is installed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sources import independent

from diffc_benchmarks.peers import PEERS, Peer
from diffc_stream.picture import save_png

pytest.importorskip("matplotlib")

from diffc_benchmarks import rate_distortion
from diffc_benchmarks.rate_distortion import Comparison, compare, main

JPEG = next(peer for peer in PEERS if peer.name == "JPEG")
ABSENT = Peer(name="None", format="NONE", suffix="", plugin=("no-such", "no_such"), families=())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(2)
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        picture = random.integers(0, 256, (40, 36, 3), dtype=np.uint8)
        save_png(tmp_path / "images" / name, picture)
    return tmp_path


def test_everything_is_left_behind(folder: Path) -> None:
    comparison = Comparison(
        paths=sorted((folder / "images").iterdir()),
        model=independent,
        peers=[JPEG, ABSENT],
        rates=(0.1, 3.0),
        out=folder / "out",
    )
    record = compare(comparison)
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "beginnings.svg",
        "curves.svg",
        "dial.svg",
        "peers",
        "record.json",
        "rows.jpg",
        "streams",
        "table.md",
    ]
    assert json.loads((folder / "out" / "record.json").read_text()) == json.loads(record.json())
    assert [peer.name for peer in record.peers] == ["JPEG"]
    assert "None is left out: pip install no-such" in record.notes
    assert all(value is not None for value in record.ours("psnr", "mmse"))
    assert record.theirs("psnr", record.peers[0])[0] is None
    assert set(record.pooled["mmse"]) == {0.1, 3.0}
    assert {entry.codec for entry in record.beginnings["b.png"]} == {"diffc-stream"}


@pytest.mark.parametrize("images", ["nowhere", "."])
def test_a_folder_without_pictures_is_one_line(
    images: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--images", str(folder / images), "--out", str(folder / "out")]) == 4
    captured = capsys.readouterr()
    assert captured.err.startswith("rate_distortion: ")
    assert captured.err.count("\n") == 1
    assert not (folder / "out").exists()


def test_a_tiny_picture_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_png(folder / "images" / "c.png", np.zeros((10, 64, 3), np.uint8))
    assert main(["--images", str(folder / "images"), "--out", str(folder / "out")]) == 4
    assert "c.png: a side of fewer than 11 pixels" in capsys.readouterr().err


def test_the_record_on_standard_output(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rate_distortion, "PEERS", ())
    monkeypatch.setattr(rate_distortion, "default_model", independent)
    command = ["--images", str(folder / "images"), "--out", str(folder / "out"), "--jobs", "1"]
    assert main([*command, "--every", "2", "--rates", "0.2", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [entry["image"] for entry in printed["streamed"]] == ["a.png"]


@pytest.mark.parametrize("wrong", [["--rates", "0"], ["--every", "0"], ["--jobs", "x"]])
def test_wrong_arguments(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(["--images", ".", *wrong])
    assert error.value.code == 2
    assert wrong[0] in capsys.readouterr().err
