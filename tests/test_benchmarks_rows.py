from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffc_benchmarks import rows
from diffc_benchmarks.rows import GAP, LABEL, SIDE, Row, save, sheet


def row(count: int = 3) -> Row:
    grey = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    return [(f"picture {number}", grey) for number in range(count)]


def test_crops_are_from_the_middle_and_not_scaled() -> None:
    first = row()
    shown = np.asarray(sheet([first, row(2)]))
    assert shown.shape == (2 * (SIDE + LABEL + GAP) - GAP, 3 * (SIDE + GAP) - GAP, 3)
    middle = first[0][1][22 : 22 + SIDE, 72 : 72 + SIDE]
    np.testing.assert_array_equal(shown[LABEL : LABEL + SIDE, :SIDE], middle)


def test_small_pictures_are_shown_whole() -> None:
    shown = np.asarray(sheet([[("small", np.zeros((5, 7, 3), np.uint8))]]))
    assert (shown[LABEL : LABEL + 5, :7] == 0).all()
    assert (shown[LABEL + 5 :] == 255).all()


def test_the_file_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST_BYTES", 100_000)
    save([row()], tmp_path / "rows.jpg")
    data = (tmp_path / "rows.jpg").read_bytes()
    assert len(data) <= 100_000
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == sheet([row()]).size
