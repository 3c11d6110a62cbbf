"""Plots of figures made up, where matplotlib is installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from comparison import EXAMPLE

pytest.importorskip("matplotlib")


def test_all_plots_are_drawn_and_the_same_again(tmp_path: Path) -> None:
    from diffc_benchmarks.plots import draw

    once, twice = tmp_path / "once", tmp_path / "twice"
    for folder in (once, twice):
        folder.mkdir()
        draw(EXAMPLE, folder)
    names = sorted(path.name for path in once.iterdir())
    assert names == ["beginnings.svg", "curves.svg", "dial.svg"]
    for name in names:
        data = (once / name).read_bytes()
        assert data.startswith(b"<?xml")
        assert data == (twice / name).read_bytes()
