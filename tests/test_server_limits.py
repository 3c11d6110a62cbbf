"""What one visitor may have."""

from __future__ import annotations

from dataclasses import asdict

from diffc_server.auth.limits import NONE, Limits
from diffc_stream.transport.tokens import LIMITS


def test_tokens_may_set_them_all() -> None:
    assert set(asdict(Limits())) == LIMITS
    # What is encoded on nobody's proof is bounded for everybody.
    assert [name for name, value in asdict(NONE).items() if value] == ["unproven_seconds_per_hour"]


def test_some_are_replaced() -> None:
    assert Limits().but({}) == Limits()
    assert Limits().but({"streams": 3}) == Limits(streams=3)
