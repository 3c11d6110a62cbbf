"""The bench of packets, on a tiny picture."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from sources import LARGE, long_stream, model, picture

from diffc_benchmarks import packets
from diffc_stream import save_png
from diffc_stream.packets import Broadcast


def test_it_measures_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save_png(tmp_path / "a.png", picture(0, LARGE))
    monkeypatch.setattr(packets, "default_model", lambda: model(LARGE))
    monkeypatch.setattr(packets, "LOSSES", (0.0, 0.3))
    flags = ["--images", str(tmp_path), "--sent", "500", "1000", "--receivers", "1"]
    monkeypatch.setattr("sys.argv", ["packets", *flags])
    packets.main()
    said = capsys.readouterr().out
    assert "| unknown, 30% |" in said
    assert "| WebP, 30% |" in said
    monkeypatch.setattr("sys.argv", ["packets", *flags, "--json"])
    packets.main()
    record = json.loads(capsys.readouterr().out)
    whole = [one for one in record["seen"] if one["planned"] and not one["loss"]]
    assert all(one["psnr"] > one["prefix"] - 0.5 for one in whole)
    assert {one["codec"] for one in record["thumbnails"]} >= {"ours", "WebP", "JPEG"}


@pytest.mark.parametrize("burst", [1.0, 4.0])
def test_as_many_are_lost_as_said(burst: float) -> None:
    arrived = packets.arrivals(20_000, 0.3, burst, np.random.default_rng(1))
    assert np.mean(arrived) == pytest.approx(0.7, abs=0.02)
    runs = "".join("+" if value else "-" for value in arrived).split("+")
    lost = [len(run) for run in runs if run]
    assert np.mean(lost) == pytest.approx(max(burst, 1 / 0.7), rel=0.1)
    assert all(packets.arrivals(9, 0.0, burst, np.random.default_rng(1)))


def test_the_best_number_of_pieces_is_chosen() -> None:
    assert packets.coded([20.0, 30.0], 10.0, 0.0, 2) == 30.0
    assert packets.coded([20.0, 21.0], 10.0, 0.5, 2) == pytest.approx(0.75 * 20 + 0.25 * 10)
    assert packets.coded([-1.0, -1.0], 10.0, 0.0, 2) == 10.0


def test_few_packets_are_weighed_by_their_chance() -> None:
    broadcast = Broadcast(long_stream(), size=200, budget=1000)
    known: packets.Known = {(): 5.0}
    certain = packets.ours(picture(0, LARGE), broadcast, model(LARGE), known, 0.0, 200)
    half = packets.ours(picture(0, LARGE), broadcast, model(LARGE), known, 0.5, 200)
    assert half == pytest.approx((certain + 5) / 2)


def test_pictures_are_reduced() -> None:
    original = picture(0, LARGE)
    assert packets.reduced(original, 64).shape == (64, 64, 3)
    assert packets.reduced(original, 500) is original


def test_flags() -> None:
    parsed = packets.parse_arguments(["--images", "x"])
    assert isinstance(parsed, argparse.Namespace)
    assert parsed.size == 200
