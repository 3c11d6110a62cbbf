"""Threads that wait leave the cores to others."""

from __future__ import annotations

import sys

import pytest

from diffc_stream.threads import POLICY, wait_asleep


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
