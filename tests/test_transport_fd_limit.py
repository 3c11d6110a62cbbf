"""How many connections the system allows."""

from __future__ import annotations

import sys

import pytest

from diffc_server import app
from diffc_stream.transport.fd_limit import SPARE, allow

resource = pytest.importorskip("resource")


class Limits:
    """Stands for the system's."""

    def __init__(self, soft: int, hard: int, *, fixed: bool = False) -> None:
        self.now = (soft, hard)
        self._fixed = fixed

    def get(self, _: int) -> tuple[int, int]:
        return self.now

    def set(self, _: int, limits: tuple[int, int]) -> None:
        if self._fixed:
            raise ValueError("not allowed")
        self.now = limits


@pytest.mark.parametrize(
    ("soft", "hard", "allowed", "after"),
    [
        (1024, 4096, 2000, 2000 + SPARE),
        (1024, resource.RLIM_INFINITY, 2000, 2000 + SPARE),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 2000, resource.RLIM_INFINITY),
        (8192, 8192, 2000, 8192),
        (256, 1024, 1024 - SPARE, 1024),
        (16, 16, 1, 16),
    ],
)
def test_the_limit_is_raised_as_far_as_it_may_be(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, allowed: int, after: int
) -> None:
    limits = Limits(soft, hard)
    monkeypatch.setattr(resource, "getrlimit", limits.get)
    monkeypatch.setattr(resource, "setrlimit", limits.set)
    assert allow(2000) == allowed
    assert limits.now == (after, hard)


def test_a_system_that_does_not_keep_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(1024, 4096, fixed=True)
    monkeypatch.setattr(resource, "getrlimit", limits.get)
    monkeypatch.setattr(resource, "setrlimit", limits.set)
    assert allow(2000) == 1024 - SPARE


def test_a_system_without_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    assert allow(2000) == 2000


def test_too_few_open_files_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(app, "allow", lambda wanted, _: min(wanted, 100))
    assert app._allowed(100) == 100
    assert caplog.text == ""
    assert app._allowed(2000) == 100
    assert "no more than 100 connections: the system allows too few open files" in caplog.text
