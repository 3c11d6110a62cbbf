"""Which pictures come before others."""

from __future__ import annotations

from diffc_stream.order import Order


def test_what_is_named_first_comes_before_all_others() -> None:
    order = Order(first=("alarm/*", "*.png", "alarm/2*"))
    names = ["alarm/2.jpg", "alarm/2.png", "b.png", "b.jpg"]
    assert [order.rank(name) for name in names] == [0, 0, 1, 3]
    assert Order(newest=True).rank("alarm/2.jpg") == 0


def test_case_counts_everywhere() -> None:
    assert Order(first=("*.PNG",)).rank("b.png") == 1
