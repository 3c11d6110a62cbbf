"""The command `benchmarks.link`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from diffc_benchmarks import link, link_transfers
from diffc_stream.picture import save_png


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["link", *arguments])
    link.main()


def test_overhead_and_stop_as_json_and_as_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(link, "LENGTHS", (300,))
    run(monkeypatch, "--only", "overhead", "--json")
    facts = json.loads(capsys.readouterr().out)
    assert facts["overhead"]["300 bytes"]["file"] == 300
    run(monkeypatch, "--only", "overhead")
    assert capsys.readouterr().out.startswith("overhead (300 bytes): 1.")


def test_cuts_and_slow_links_as_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(link_transfers, "SHORT", 20)
    monkeypatch.setattr(link_transfers, "LONG", 3000)
    monkeypatch.setattr(link, "CUTS", 3)
    monkeypatch.setattr(link, "SLOW", (20_000.0,))
    monkeypatch.setattr(link, "ROUND_TRIP", 0.02)
    run(monkeypatch, "--only", "cuts", "slow", "--seconds", "1")
    every, random, slow = capsys.readouterr().out.splitlines()
    assert every.startswith("cuts (every_byte): ")
    assert random.startswith("cuts (random): 1 of 1 streams equal, over 4 connections")
    assert slow.startswith("slow (160 kbit/s): alive after 1 s, payload ")


def test_a_gallery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ramp = np.linspace(0, 255, 32 * 24 * 3).reshape(24, 32, 3)
    for number in range(3):
        save_png(tmp_path / f"{number}.png", np.roll(ramp, 7 * number, axis=1).astype(np.uint8))
    monkeypatch.setattr(link, "GALLERY_RATE", 20_000.0)
    monkeypatch.setattr(link, "GALLERY_DELAY", 0.01)
    run(monkeypatch, "--only", "gallery", "--images", str(tmp_path), "--kilobytes", "2", "--json")
    facts = json.loads(capsys.readouterr().out)["gallery"]
    assert facts["pictures"] == 3
    gain, turns = facts["orders"]["gain"], facts["orders"]["round robin"]
    assert len(gain["mean_psnr"]) == len(turns["mean_psnr"]) == 2
    assert gain["mean_psnr"] == sorted(gain["mean_psnr"])
    margins = [a - b for a, b in zip(gain["mean_psnr"], turns["mean_psnr"], strict=True)]
    assert facts["smallest_margin"] == pytest.approx(min(margins), abs=2e-3)
    assert min(gain["worst_psnr"]) > 0
    assert link.lines({"gallery": facts})[0].startswith("gallery of 3: ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--seconds", "0"], "0 is not within 1 to 86400"),
        (["--kilobytes", "0"], "0 is not within 1 to 1000"),
        (["--only", "dance"], "invalid choice: 'dance'"),
    ],
)
def test_wrong_usage(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    complaint: str,
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, *arguments)
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


def test_a_gallery_takes_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffc_stream.errors import UnreadablePicture

    with pytest.raises(UnreadablePicture, match="--images FOLDER"):
        run(monkeypatch, "--only", "gallery")
    with pytest.raises(UnreadablePicture, match="no pictures"):
        run(monkeypatch, "--only", "gallery", "--images", str(tmp_path))
