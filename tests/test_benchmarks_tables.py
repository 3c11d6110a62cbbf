"""What the tables say about figures made up."""

from __future__ import annotations

from dataclasses import replace

from comparison import EXAMPLE

from diffc_benchmarks.tables import markdown

TABLES = markdown(EXAMPLE)


def test_figures_are_in_their_cells() -> None:
    assert "| diffc-stream mmse | - | 31.00 |" in TABLES
    assert "| JPEG | - | **32.00** |" in TABLES
    assert "| diffc-stream flow | **0.2000** | **0.1000** |" in TABLES


def test_who_is_ahead_is_said() -> None:
    assert "A peer is ahead of us: JPEG at 0.4 bpp (by 1.00)." in TABLES
    assert "No peer is ahead of us." in TABLES


def test_what_synthesis_costs() -> None:
    assert "| flow | - | 1.00 |" in TABLES
    assert "| 0.4 bpp | 31.00 / 0.2500 | 30.75 / 0.2250 |" in TABLES


def test_beginnings_and_those_that_show_nothing() -> None:
    assert "| diffc-stream | 20.10 | 20.20 | 20.50 | 21.00 | 22.00 | 25.00 | 30.00 |" in TABLES
    assert "| JPEG | - | - | - | 21.00 | 22.00 | 25.00 | 30.00 |" in TABLES
    assert "Nothing before the last bytes, as Pillow reads them: WebP." in TABLES


def test_where_it_comes_from() -> None:
    for fact in ("abc", "a computer", "small 01234567", "pip install pillow-heif", "progressive"):
        assert fact in TABLES


def test_nothing_but_ours() -> None:
    alone = markdown(replace(EXAMPLE, peers=[], beginnings={}, notes=[]))
    assert "| diffc-stream mmse | - | **31.00** |" in alone
    assert "beginning of a file" not in alone
