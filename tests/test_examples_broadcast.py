"""The example of a broadcast, on a tiny picture, and the JPEG beside it."""

from pathlib import Path

import numpy as np
import pytest
from sources import LARGE, model, picture

from diffc_stream import save_png
from diffc_stream.metrics import psnr
from diffc_stream.picture import load_picture
from examples import broadcast, mesh, ssdv


def test_three_receivers_and_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(broadcast, "default_model", lambda: model(LARGE))
    save_png(tmp_path / "photo.png", picture(0, LARGE))
    flags = ["--image", str(tmp_path / "photo.png"), "--out", str(tmp_path), "--bytes", "2000"]
    assert broadcast.main(flags) == 0
    said = capsys.readouterr().out
    assert said.count(" dB; as SSDV ") == 4
    assert load_picture(tmp_path / "broadcast.png").shape[1] > 1400


def test_a_mesh_repeats_for_those_who_are_far() -> None:
    near, far, farthest = (sum(heard) / 400 for heard in mesh.arrivals(400, 1))
    assert 1 > near > far > farthest > 0.3
    line = mesh.Mesh(links=[(0, 1, 0.0), (1, 2, 0.0), (2, 3, 0.0)], hops=1)
    drawn = np.random.default_rng(0)
    assert line.heard(0, drawn) == {0, 1, 2}
    assert line.heard(1, drawn) == {0, 1, 2, 3}


def test_over_a_mesh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(broadcast, "default_model", lambda: model(LARGE))
    save_png(tmp_path / "photo.png", picture(0, LARGE))
    flags = ["--image", str(tmp_path / "photo.png"), "--out", str(tmp_path), "--bytes", "2000"]
    assert broadcast.main([*flags, "--mesh", "--size", "230"]) == 0
    said = capsys.readouterr().out
    assert said.count(" hops away: ") == 3


def test_errors_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "no.png").write_bytes(b"no picture")
    assert broadcast.main(["--image", str(tmp_path / "no.png"), "--out", str(tmp_path)]) == 4
    assert capsys.readouterr().err.count("\n") == 1


def test_lost_packets_of_a_jpeg_are_grey_blocks() -> None:
    original = picture(0, LARGE)
    found = ssdv.packed(original, 40, 200)
    assert found is not None
    assert len(found.packets) <= 40
    blocks = [block for packet in found.packets for block in packet]
    assert blocks == list(range(len(blocks)))
    whole, holed = found.received(()), found.received([False])
    assert psnr(whole, original) > psnr(holed, original)
    assert np.any(whole != holed)
    assert ssdv.packed(original, 1, 25) is None
