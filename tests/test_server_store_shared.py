"""Stores that others share: leases, and a cache in front."""

from __future__ import annotations

import errno

from drawer import Drawer

from diffc_server.cache.lease import NoLease
from diffc_server.cache.store import Outcome, Store, Stored

KEY, OTHER = "0" * 64, "1" * 64
STREAM = bytes(range(256)) * 4
WHOLE = Stored(data=STREAM, complete=True)


def part(length: int, data: bytes = STREAM) -> Stored:
    return Stored(data=data[:length], complete=False)


def test_a_place_that_gives_no_leases() -> None:
    drawer = Drawer()
    store = Store(drawer)
    drawer.failure = OSError(errno.EIO, "it burns")
    lease = store.claim(KEY)
    assert isinstance(lease, NoLease)
    assert not store.claimed(KEY)
    assert store.troubles.counts["leased"] == 2


def test_a_cache_in_front() -> None:
    far, near = Drawer(), Drawer()
    store, other = Store(far, front=Store(near)), Store(far)
    assert store.load(KEY) is None
    other.save(KEY, part(500))
    assert store.load(KEY) == part(500)  # and copied
    far.failure = OSError(errno.EIO, "it burns")
    assert store.load(KEY) == part(500)
    assert store.save(KEY, WHOLE) is Outcome.FAILED
    assert store.load(KEY) == WHOLE
    far.failure = None
    assert other.load(KEY) == part(500)
    # What the store could not take it gets with the next one.
    assert store.save(OTHER, part(10)) is Outcome.STORED
    assert other.load(KEY) == WHOLE
    assert not store._owed


def test_a_cache_that_disagrees_gives_way() -> None:
    far, near = Drawer(), Drawer()
    different = part(500, STREAM[::-1])
    Store(near).save(KEY, different)
    Store(far).save(KEY, part(300))
    store = Store(far, front=Store(near))
    assert store.load(KEY) == part(300)
    assert Store(near).load(KEY) == part(300)
    assert store.save(KEY, part(400)) is Outcome.STORED
    # Of two that agree, the longer is used.
    Store(near).save(KEY, part(600))
    assert store.load(KEY) == part(600)
    store.drop(KEY, part(400))
    assert store.load(KEY) == part(600)
    store.note("a", b"1")
    Store(far).note("a", b"2")
    assert store.recall("a") == b"2"
