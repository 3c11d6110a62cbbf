"""Connections that are counted when they are accepted."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from diffc_stream.transport.admission import (
    AT_ONCE,
    LEAST_NEWCOMERS,
    MOST_LEAVING,
    Admission,
    Place,
    Shortage,
    descriptors_for,
    newcomers_beside,
)
from diffc_stream.transport.fd_limit import Spare

LOGGER = logging.getLogger("admission")


class Door:
    """Connections that come, each with a descriptor, and close when they are told to."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.dropped: list[int] = []
        self._numbers = count(1)

    def enter(self, address: str = "192.0.2.1") -> Place | None:
        number = next(self._numbers)
        return self.admission.enter(address, number, lambda: self.dropped.append(number))

    def close_dropped(self) -> None:
        for number in self.dropped:
            place = self.admission.place(number)
            assert place is not None
            place.leave()
        self.dropped.clear()


def door(
    most: int = 100,
    newcomers: int | None = None,
    by_address: Callable[[str], int] = lambda _: 0,
    spare: Spare | None = None,
) -> Door:
    admission = Admission(
        most,
        newcomers=newcomers,
        by_address=by_address,
        logger=LOGGER,
        spare=spare,
        clock=lambda: 0.0,
    )
    return Door(admission)


def counts(at: Door) -> tuple[int, int, int, bool]:
    return at.admission.newcomers, at.admission.guests, at.admission.open, at.admission.full


def test_from_newcomer_to_guest_to_nobody() -> None:
    at = door(most=1)
    place = at.enter()
    assert place is not None
    assert counts(at) == (1, 0, 1, False)
    place.settle()
    place.settle()
    place.drop()  # guests are not dropped
    assert counts(at) == (0, 1, 1, True)
    place.leave()
    place.leave()
    assert counts(at) == (0, 0, 0, False)
    assert at.dropped == []
    assert at.admission.place(1) is None


def test_who_says_nothing_makes_way_for_others() -> None:
    at = door(newcomers=3)
    for _ in range(5):
        assert at.enter()
    assert at.dropped == [1, 2]
    assert at.admission.newcomers == 3
    assert at.admission.open == 5  # until they are closed
    at.close_dropped()
    assert at.admission.open == 3
    assert at.admission.dropped == 2


def test_the_address_with_most_newcomers_makes_way() -> None:
    at = door(newcomers=10)
    at.enter("192.0.2.9")  # the oldest
    for number in range(20):
        at.enter("192.0.2.1" if number % 4 else "192.0.2.2")
    assert 1 not in at.dropped
    assert at.admission.place(1) is not None


def test_of_ipv6_it_is_the_network() -> None:
    at = door(newcomers=4)
    at.enter("192.0.2.9")
    for number in range(10):
        at.enter(f"2001:db8:1:2::{number:x}")
    assert at.dropped == [2, 3, 4, 5, 6, 7, 8]


def test_an_address_may_have_a_limit_of_its_own() -> None:
    at = door(by_address=lambda address: 2 if address != "127.0.0.1" else 0)
    for _ in range(3):
        at.enter("192.0.2.1")
        at.enter("127.0.0.1")
    assert at.dropped == [1]


def test_with_too_many_that_do_not_close_nobody_is_taken_in() -> None:
    at = door(newcomers=1)
    taken = [at.enter() for _ in range(MOST_LEAVING + 10)]
    assert None in taken
    assert at.admission.open <= MOST_LEAVING + 2
    at.close_dropped()
    assert at.enter()


def test_all_that_can_be_open_is_known_beforehand() -> None:
    assert newcomers_beside(2000) == 1000
    assert newcomers_beside(2) == LEAST_NEWCOMERS
    at = door(most=10)
    for number in range(500):
        place = at.enter()
        if place and not at.admission.full:
            place.settle()
        assert at.admission.open <= descriptors_for(10) + 1, number


def test_a_flood_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    at = door(newcomers=3)
    for _ in range(50):
        at.enter()
        at.close_dropped()
    assert [record.getMessage() for record in caplog.records] == [
        "192.0.2.1 has too many connections that ask for nothing: the oldest are closed"
    ]


def test_others_have_their_turn() -> None:
    admission = door().admission
    assert [admission.accept(lambda: 1) for _ in range(AT_ONCE)] == [1] * AT_ONCE
    with pytest.raises(BlockingIOError):
        admission.accept(lambda: 1)
    assert admission.accept(lambda: 1) == 1


def failing(*errors: BaseException) -> Callable[[], int]:
    queue: Iterator[BaseException] = iter(errors)

    def accept() -> int:
        error = next(queue, None)
        if error is not None:
            raise error
        return 1

    return accept


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_a_shortage_is_waited_for(number: int, caplog: pytest.LogCaptureFixture) -> None:
    at = door()
    for _ in range(3):
        at.enter()
    for _ in range(5):
        with pytest.raises(Shortage) as caught:
            at.admission.accept(failing(OSError(number, "short")))
        assert caught.value.errno == number
        # An event loop goes on asking in the same turn.
        with pytest.raises(BlockingIOError):
            at.admission.accept(lambda: 1)
    assert at.admission.accept(lambda: 1) == 1
    assert at.admission.shortages == 5
    assert at.dropped == [1, 2, 3]  # room is made as far as it can be
    assert len([line for line in caplog.records if "have to wait" in line.getMessage()]) == 1


def test_no_memory_is_a_shortage_too() -> None:
    with pytest.raises(Shortage):
        door().admission.accept(failing(MemoryError()))


def test_spare_descriptors_are_used_first() -> None:
    short = OSError(errno.EMFILE, "short")
    with Spare(2) as spare:
        at = door(spare=spare)
        assert at.admission.pressed is False
        assert [at.admission.accept(failing(short)) for _ in range(2)] == [1, 1]
        assert spare.lent == 2
        with pytest.raises(Shortage):
            at.admission.accept(failing(short))
        at.admission.refill()
        assert spare.lent == 0


def test_who_has_gone_already_is_nobodys_error() -> None:
    for number in (errno.EPROTO, errno.ENETDOWN, errno.ECONNRESET):
        with pytest.raises(ConnectionAbortedError):
            door().admission.accept(failing(OSError(number, "gone")))
    with pytest.raises(OSError, match="bad"):
        door().admission.accept(failing(OSError(errno.EBADF, "bad")))
    with pytest.raises(BlockingIOError):
        door().admission.accept(failing(BlockingIOError(errno.EAGAIN, "nobody")))


def test_when_all_have_gone_it_is_said() -> None:
    entry, told = door(), []
    entry.admission.when_empty(lambda: told.append("at once"))
    assert told == ["at once"]
    newcomer, guest = entry.enter(), entry.enter()
    assert newcomer is not None
    assert guest is not None
    guest.settle()
    entry.admission.when_empty(lambda: told.append("then"))
    entry.admission.drop_newcomers()
    assert entry.dropped == [newcomer.descriptor]
    entry.close_dropped()
    assert told == ["at once"]
    guest.leave()
    assert told == ["at once", "then"]
