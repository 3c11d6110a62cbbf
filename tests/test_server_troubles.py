"""What goes wrong with a store is told of once a minute, and not waited for."""

from __future__ import annotations

import errno

import pytest
from drawer import Drawer

from diffc_server.cache.lease import NoLease
from diffc_server.cache.store import Outcome, Store, Stored
from diffc_server.cache.troubles import FIRST_REST, REST

KEY, OTHER = "0" * 64, "1" * 64
STREAM = bytes(range(256)) * 4
WHOLE = Stored(data=STREAM, complete=True)


def test_trouble_that_lasts_is_told_of_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    drawer, now = Drawer(), [0.0]
    store = Store(drawer, clock=lambda: now[0])
    drawer.failure = OSError(errno.EIO, "it burns")
    for _ in range(130):
        assert store.load(KEY) is None
        now[0] += 1.0
    drawer.failure = None
    for _ in range(60):
        # It comes and goes.
        store.load(KEY)
        drawer.failure = OSError(errno.EIO, "it burns") if drawer.failure is None else None
        now[0] += 1.0
    assert [record.getMessage() for record in caplog.records] == [
        "the store drawer cannot be read: it burns",
        "the store drawer cannot be read: it burns (60 times)",
        "the store drawer cannot be read: it burns (60 times)",
        "the store drawer can be read again",
        "the store drawer cannot be read: it burns (35 times)",
        "the store drawer can be read again",
    ]
    assert store.troubles.counts["read"] == 160


def test_who_does_not_answer_is_left_alone_for_a_while() -> None:
    drawer, now = Drawer(), [0.0]
    store = Store(drawer, clock=lambda: now[0])
    assert store.save(KEY, WHOLE) is Outcome.STORED
    for rest in (1.0, 2.0, 4.0, 8.0, REST, REST):
        store.miss()
        now[0] += rest - 0.1
        assert store.troubles.resting
        now[0] += 0.1
        assert not store.troubles.resting
    store.miss()
    assert store.load(KEY) is None
    assert store.save(KEY, WHOLE) is Outcome.FAILED
    assert isinstance(store.claim(KEY), NoLease)
    assert not store.claimed(KEY)
    now[0] += REST
    assert store.load(KEY) == WHOLE
    store.miss()
    now[0] += FIRST_REST
    assert store.load(KEY) == WHOLE
    assert store.claim(KEY) is None
    assert store.claimed(KEY)
