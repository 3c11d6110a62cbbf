"""The benchmark of regions that are asked for over a slow link."""

from __future__ import annotations

import json
from math import nan
from pathlib import Path

import numpy as np
import pytest
from sources import by_scale, picture

from diffc_benchmarks import regions
from diffc_benchmarks.regions import Asked, Reached, table
from diffc_stream import save_png


def test_the_table() -> None:
    asked = Asked(
        image="a.png",
        without=Reached(bytes=nan, seconds=nan),
        region=Reached(bytes=1234.0, seconds=5.67),
    )
    lines = table([asked]).splitlines()
    assert lines[2] == "| a.png | not at 1 bit per pixel | 1,234 bytes, 5.7 s |"


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "default_model", by_scale)
    monkeypatch.setattr(regions, "DELAY", 0.0)
    monkeypatch.setattr(regions, "FIRST", 300)
    monkeypatch.setattr(regions, "WANTED", 22.0)
    monkeypatch.setattr(regions, "MOST_BPP", 2.0)
    save_png(tmp_path / "a.png", np.tile(picture(1), (2, 2, 1)))
    record = tmp_path / "record.json"
    options = ["--images", str(tmp_path), "--rate", "1000000", "--json", str(record)]
    assert regions.main(options) == 0
    [result] = json.loads(record.read_text())["results"]
    assert result["image"] == "a.png"
    assert result["region"]["bytes"] > 300
    assert result["without"]["bytes"] > 300


def test_no_pictures(tmp_path: Path) -> None:
    assert regions.main(["--images", str(tmp_path)]) != 0
