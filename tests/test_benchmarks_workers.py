from __future__ import annotations

import pytest

from diffc_benchmarks.workers import spread


def test_results_come_in_order() -> None:
    assert spread("squares", abs, [-3, 2, -1], jobs=1, threads=1) == [3, 2, 1]
    assert spread("none", abs, [], jobs=4, threads=1) == []


def test_processes_give_the_same() -> None:
    assert spread("squares", abs, [-3, 2, -1], jobs=2, threads=1) == [3, 2, 1]


def test_errors_come_through() -> None:
    with pytest.raises(ZeroDivisionError):
        spread("broken", lambda number: 1 // number, [1, 0], jobs=1, threads=1)
