"""Warnings, and no more than anybody reads."""

from __future__ import annotations

import logging

import pytest

from diffc_client.mirror.log_limit import LogLimit


def test_so_many_a_minute_of_each_kind(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    complaints = LogLimit(logging.getLogger("diffc_client"), clock=lambda: now[0])
    for number in range(100):
        complaints.say("names", "%d", number)
        complaints.say("the disk", "full %d", number, most=1)
    assert caplog.messages == ["0", "full 0", *(str(number) for number in range(1, 10))]
    caplog.clear()
    now[0] = 60.0
    complaints.say("names", "again")
    assert caplog.messages == ["90 more warnings about names", "again"]
