"""Threads that wait leave the cores to others, and are as many as they should be."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from diffc_stream.threads import (
    MOST,
    NICENESS,
    NUMBER,
    POLICY,
    count,
    go_last,
    limit,
    wait_asleep,
)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(POLICY, "")  # so that it is put back
    monkeypatch.delenv(POLICY)
    monkeypatch.delitem(sys.modules, "torch", raising=False)


def test_they_sleep() -> None:
    assert wait_asleep()
    assert wait_asleep()


def test_whoever_wants_them_awake_gets_his_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(POLICY, "active")
    assert not wait_asleep()
    monkeypatch.setenv(POLICY, "passive")
    assert wait_asleep()


def test_when_torch_is_there_it_is_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", sys)
    assert not wait_asleep()


def test_there_are_as_many_as_cores_or_as_one_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NUMBER, raising=False)
    every = count()
    assert 1 <= every <= (os.cpu_count() or 1)
    for text in ("", "no", "0", "-1", "4,2", "\u0664", str(MOST + 1), "9" * 100):
        monkeypatch.setenv(NUMBER, text)
        assert count() == every
    monkeypatch.setenv(NUMBER, "3")
    assert count() == 3


def test_a_limit_is_told_to_torch_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NUMBER, "1")  # so that it is put back
    limit(5)
    assert count() == 5

    class Torch:
        def set_num_threads(self, number: int) -> None:
            told.append(number)

    told: list[int] = []
    monkeypatch.setitem(sys.modules, "torch", Torch())
    limit(6)
    assert (count(), told) == (6, [6])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
def test_a_thread_lets_others_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)

    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, 0)

    with ThreadPoolExecutor(1, initializer=go_last) as pool:
        assert pool.submit(priority).result() == min(19, before + NICENESS)
    assert priority() == before
    monkeypatch.setattr(sys, "platform", "darwin")
    go_last()
    assert priority() == before
