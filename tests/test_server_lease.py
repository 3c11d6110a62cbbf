"""Leases: one sender encodes, and another takes over when it is dead."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from diffc_server.cache.lease import (
    LEASE,
    MOST_HEIRS,
    MOST_SEEN,
    RENEW,
    SKEW,
    SUFFIX,
    Leases,
    NoLease,
    owner_of,
)

KEY = "0" * 64


@dataclass(slots=True)
class Shelf:
    """Objects in memory, and a clock."""

    objects: dict[str, bytes] = field(default_factory=dict)
    time: float = 1e9

    def read(self, name: str) -> bytes | None:
        """Return an object."""
        return self.objects.get(name)

    def create(self, name: str, data: bytes) -> bool:
        """Create one."""
        return self.objects.setdefault(name, data) is data

    def replace(self, name: str, data: bytes) -> None:
        """Replace one."""
        self.objects[name] = data

    def remove(self, name: str) -> None:
        """Remove one."""
        self.objects.pop(name, None)

    def clock(self) -> float:
        """Return the time."""
        return self.time

    def leases(self, *, ahead: float = 0.0) -> Leases:
        """Return those of another sender, whose clock may be ahead."""
        return Leases(self, clock=lambda: self.time + ahead, steady=self.clock)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_one_has_it_until_it_is_released(shelf: Shelf) -> None:
    first, second = shelf.leases(), shelf.leases()
    assert not second.held(KEY)
    lease = first.claim(KEY)
    assert lease is not None
    assert second.held(KEY)
    assert second.claim(KEY) is None
    assert second.claim("1" * 64) is not None
    lease.release()
    assert not second.held(KEY)
    again = second.claim(KEY)
    assert again is not None
    lease.release()  # twice: it is not its own any more
    assert first.held(KEY)


def test_it_lasts_as_long_as_it_is_renewed(shelf: Shelf) -> None:
    lease, other = shelf.leases().claim(KEY), shelf.leases()
    assert lease is not None
    for _ in range(20):
        shelf.time += RENEW
        assert lease.renew()
        assert other.held(KEY)
        assert other.claim(KEY) is None


@pytest.mark.parametrize("ahead", [-1e6, -SKEW, 0.0, SKEW])
def test_who_is_dead_is_succeeded_by_one(shelf: Shelf, ahead: float) -> None:
    """Whatever the clocks say."""
    first = shelf.leases().claim(KEY)
    assert first is not None
    others = [shelf.leases(ahead=ahead) for _ in range(3)]
    assert all(other.held(KEY) for other in others)
    shelf.time += LEASE
    assert all(other.held(KEY) for other in others)
    shelf.time += 0.1
    assert not any(other.held(KEY) for other in others)
    won = [lease for other in others if (lease := other.claim(KEY)) is not None]
    assert len(won) == 1
    assert all(other.held(KEY) for other in others)
    assert not first.renew()  # it was suspended, and is late
    assert len(shelf.objects) == 2
    won[0].release()
    assert shelf.objects == {}
    first.release()


def test_who_comes_much_later_need_not_wait(shelf: Shelf) -> None:
    assert shelf.leases().claim(KEY) is not None
    shelf.time += LEASE + SKEW + 1
    assert shelf.leases().claim(KEY) is not None


def test_many_die_one_after_the_other(shelf: Shelf) -> None:
    for _ in range(3 * MOST_HEIRS):
        shelf.leases().claim(KEY)
        shelf.time += LEASE + SKEW + 1
        assert len(shelf.objects) <= MOST_HEIRS
    assert not shelf.leases().held(KEY)
    lease = shelf.leases().claim(KEY) or shelf.leases().claim(KEY)
    assert lease is not None
    lease.release()
    assert shelf.objects == {}


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"3", b'{"owner": "../x", "expires": "x"}', b"[" * 100_000]
)
def test_a_torn_lease_is_one_until_it_is_old(shelf: Shelf, text: bytes) -> None:
    shelf.objects[KEY + SUFFIX] = text
    leases = shelf.leases()
    assert leases.claim(KEY) is None
    shelf.time += LEASE + 0.1
    lease = leases.claim(KEY)
    assert lease is not None
    assert f"{KEY}.{owner_of(text)}{SUFFIX}" in shelf.objects
    lease.release()
    assert shelf.objects == {}


def test_only_so_many_are_remembered(shelf: Shelf) -> None:
    other, leases = shelf.leases(), shelf.leases()
    for number in range(MOST_SEEN + 10):
        other.claim(f"{number:064}")
        assert leases.held(f"{number:064}")
    assert len(leases._seen) == MOST_SEEN


def test_threads_agree(shelf: Shelf) -> None:
    won: list[object] = []

    def claim() -> None:
        if (lease := shelf.leases().claim(KEY)) is not None:
            won.append(lease)

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_no_lease_is_no_trouble() -> None:
    lease = NoLease()
    assert lease.renew()
    lease.release()
    lease.close()
