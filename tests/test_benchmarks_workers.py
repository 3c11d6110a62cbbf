from __future__ import annotations

import multiprocessing
import time
from typing import NoReturn

import pytest

from diffc_benchmarks import workers
from diffc_benchmarks.workers import spread


def test_results_come_in_order() -> None:
    assert spread("squares", abs, [-3, 2, -1], jobs=1, threads=1) == [3, 2, 1]
    assert spread("none", abs, [], jobs=4, threads=1) == []


def test_processes_give_the_same() -> None:
    assert spread("squares", abs, [-3, 2, -1], jobs=2, threads=1) == [3, 2, 1]


def test_errors_come_through() -> None:
    with pytest.raises(ZeroDivisionError):
        spread("broken", lambda number: 1 // number, [1, 0], jobs=1, threads=1)


def test_nobody_waits_for_workers_after_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "as_completed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        spread("", time.sleep, [3600.0, 3600.0], jobs=2, threads=1)
    assert multiprocessing.active_children() == []
