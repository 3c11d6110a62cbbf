"""The benchmark of thumbnails and regions."""

from __future__ import annotations

import json
from math import nan
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sources import by_scale

from diffc_benchmarks import starts
from diffc_benchmarks.starts import SIZES, Started, table, thumbnail


def photograph() -> NDArray[np.uint8]:
    random = np.random.default_rng(2)
    blocks = np.kron(random.integers(30, 220, (10, 14, 3)), np.ones((10, 10, 1)))
    return blocks.astype(np.uint8)


def test_a_thumbnail_fits() -> None:
    data, small = thumbnail(photograph())
    assert len(data) <= starts.THUMBNAIL
    assert small.shape in {(13, 18, 3), (25, 35, 3)}


def test_the_table() -> None:
    started = Started(
        image="a.png",
        thumbnail=1000,
        alone=dict.fromkeys(SIZES, 25.0),
        from_thumbnail=26.0,
        whole=1000.0,
        region=300.0,
    )
    never = Started(
        image="b.png",
        thumbnail=1000,
        alone=dict.fromkeys(SIZES, 27.0),
        from_thumbnail=26.0,
        whole=nan,
        region=300.0,
    )
    lines = table([started, never]).splitlines()
    assert lines[2] == "| a.png | 25.00 | 25.00 | 25.00 | 26.00 | 1000 | 300 | 30 % |"
    assert lines[3].endswith("| nan | 300 | - |")
    assert lines[4] == "| mean | 26.00 | 26.00 | 26.00 | 26.00 | | | 30 % |"


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "default_model", by_scale)
    monkeypatch.setattr(starts, "SIZES", (100, 200, 600))
    monkeypatch.setattr(starts, "THUMBNAIL", 400)
    monkeypatch.setattr(starts, "FIRST", 100)
    monkeypatch.setattr(starts, "WANTED", 24.0)
    monkeypatch.setattr(starts, "MOST_BPP", 3.0)
    Image.fromarray(photograph()).save(tmp_path / "a.png")
    out = tmp_path / "record.json"
    assert starts.main(["--images", str(tmp_path), "--json", str(out)]) == 0
    [result] = json.loads(out.read_text())["results"]
    assert result["thumbnail"] <= 400
    assert result["region"] < result["whole"]
