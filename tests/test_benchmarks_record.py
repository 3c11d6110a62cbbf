"""Means, who is ahead, and JSON: of figures made up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from comparison import EXAMPLE

from diffc_benchmarks.record import best, measured


def test_means_over_pictures() -> None:
    assert EXAMPLE.ours("psnr", "mmse") == [None, 31.0]
    assert EXAMPLE.ours("psnr", "flow") == [None, 30.0]
    assert EXAMPLE.theirs("psnr", EXAMPLE.peers[0]) == [None, 32.0]


def test_patches_are_pooled_not_averaged() -> None:
    assert EXAMPLE.ours("patches", "flow") == [0.2, 0.1]
    assert EXAMPLE.theirs("patches", EXAMPLE.peers[0]) == [None, 0.3]


def test_rows_have_ours_first_and_no_dial() -> None:
    assert list(EXAMPLE.rows("psnr")) == ["diffc-stream mmse", "diffc-stream flow", "JPEG"]


def test_a_peer_is_ahead_where_it_is_better() -> None:
    assert EXAMPLE.ahead("psnr") == {"JPEG": {0.4: pytest.approx(1.0)}}
    assert EXAMPLE.ahead("patches") == {}


def test_best_knows_which_way_is_up() -> None:
    assert best([1.0, None, 2.0], "psnr") == 2.0
    assert best([1.0, None, 2.0], "patches") == 1.0
    assert best([None], "psnr") is None


def test_measures_without_figures_are_left_out() -> None:
    assert measured(EXAMPLE) == ["psnr", "ms_ssim", "patches"]


def test_json_has_no_infinity(tmp_path: Path) -> None:
    endless = replace(EXAMPLE, pooled={"mmse": {0.1: float("inf")}})
    endless.save(tmp_path / "record.json")
    found: Mapping[str, object] = json.loads((tmp_path / "record.json").read_text())
    assert found["pooled"] == {"mmse": {"0.1": None}}
    assert found["commit"] == "abc"
