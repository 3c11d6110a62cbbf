"""Limit connections from the moment they are accepted, by address and in total.

A connection is a newcomer until it has asked for something that it may have; after that it is a
guest.  Newcomers have a budget of their own, so that idle connections do not take the places of
guests.  When that budget is used up, the newcomer that has waited longest is closed, of the address
that has most.  So clients that do ask get in, however many connections stay silent.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable
from typing import TypeVar

from .exposure import neighbourhood
from .fd_limit import Spare
from .throttle import Throttle

LEAST_NEWCOMERS = 16
MOST_LEAVING = 64
"""Connections that are being closed, but whose descriptors are still open.  If there are more, no
new connections are accepted."""
AT_ONCE = 16
"""Connections accepted before the event loop does other work, such as closing those dropped."""
SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Errors of accept() for want of descriptors or memory; they pass when some are released."""
PASSING = frozenset(
    getattr(errno, name)
    for name in (
        *("EPROTO", "ENOPROTOOPT", "EHOSTDOWN", "ENONET", "EHOSTUNREACH", "EOPNOTSUPP"),
        *("ENETDOWN", "ENETUNREACH", "ECONNRESET", "EPERM", "ETIMEDOUT"),
    )
    if hasattr(errno, name)
)
"""Errors of accept() that concern only the connection it would have returned, on Linux."""

Drop = Callable[[], None]
"""A function that closes a connection soon, without a message to the peer."""

Accepted = TypeVar("Accepted")


class Shortage(OSError):
    """The system has no descriptor or no memory for another connection.  It has been logged."""


def newcomers_beside(guests: int) -> int:
    """Return the default limit of newcomers for a limit of ``guests``."""
    return max(LEAST_NEWCOMERS, guests // 2)


def descriptors_for(guests: int) -> int:
    """Return the descriptors for ``guests``, their newcomers, and connections being closed."""
    return guests + newcomers_beside(guests) + MOST_LEAVING


class Place:
    """The place of one connection among those counted, until it is closed."""

    __slots__ = ("_admission", "_drop", "descriptor", "home", "is_")

    def __init__(self, admission: Admission, home: str, descriptor: int, drop: Drop) -> None:
        self._admission = admission
        self._drop = drop
        self.home = home
        """The part of its address that identifies its owner, see ``neighbourhood``."""
        self.descriptor = descriptor
        self.is_ = _NEWCOMER

    def settle(self) -> None:
        """Make it a guest: it has asked for something that it may have."""
        if self.is_ == _NEWCOMER:
            self._become(_GUEST)

    def drop(self) -> None:
        """Close the connection, if it is a newcomer."""
        if self.is_ == _NEWCOMER:
            self._become(_LEAVING)
            self._drop()

    def leave(self) -> None:
        """Stop counting the connection, which is closed.  Calling it again does nothing."""
        if self.is_ != _GONE:
            self._become(_GONE)

    def _become(self, what: int) -> None:
        before, self.is_ = self.is_, what
        if what == _GONE:
            self._drop = _nothing
        self._admission.moved(self, before)


_NEWCOMER, _GUEST, _LEAVING, _GONE = range(4)


def _nothing() -> None:
    """Do nothing: the connection is closed already."""


class Admission:
    """All connections of one port."""

    def __init__(
        self,
        most: int,
        *,
        newcomers: int | None = None,
        by_address: Callable[[str], int] = lambda _: 0,
        logger: logging.Logger,
        spare: Spare | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Admit ``most`` guests and, in addition, ``newcomers``, by default half as many.

        ``by_address`` returns the limit of newcomers from an address; 0 is no limit.  If there are
        no descriptors left, a few of the ``spare`` ones are used, so that new connections can be
        told.
        """
        self.most = most
        self.most_newcomers = newcomers_beside(most) if newcomers is None else newcomers
        self.dropped = 0
        """Newcomers so far that were closed for others, or not admitted."""
        self.shortages = 0
        """How often the system had no descriptor or no memory for a connection."""
        self._by_address = by_address
        self._logger = logger
        self._spare = spare
        self._places: dict[int, Place] = {}
        self._waiting: dict[str, dict[Place, None]] = {}
        """Newcomers by home, the oldest first."""
        self._counts = [0, 0, 0, 0]
        self._when_empty: list[Callable[[], None]] = []
        self._in_a_row = 0
        self._paused = False
        self._throttle = Throttle(clock=clock)

    @property
    def open(self) -> int:
        """Connections whose descriptors are open."""
        return len(self._places)

    @property
    def guests(self) -> int:
        """Connections that have asked for something that they may have."""
        return self._counts[_GUEST]

    @property
    def newcomers(self) -> int:
        """Connections that have not asked for anything yet."""
        return self._counts[_NEWCOMER]

    @property
    def full(self) -> bool:
        """Whether there is no place for another guest."""
        return self.guests >= self.most

    @property
    def pressed(self) -> bool:
        """Whether only spare descriptors are left: enough for a refusal, not for a new guest."""
        return self._spare is not None and self._spare.lent > 0

    def place(self, descriptor: int) -> Place | None:
        """Return the place of an open connection by its descriptor, if it was counted."""
        return self._places.get(descriptor)

    def enter(self, address: str, descriptor: int, drop: Drop) -> Place | None:
        """Count a connection that was just accepted; return None if it has to be closed at once."""
        home = neighbourhood(address)
        most = self._by_address(address)
        if 0 < most <= len(self._waiting.get(home, ())):
            self._drop_oldest(home)
        elif self.newcomers >= self.most_newcomers:
            self._drop_oldest(self._crowded())
        if self._counts[_LEAVING] > MOST_LEAVING:
            self._note_dropped(home)
            return None
        place = self._places[descriptor] = Place(self, home, descriptor, drop)
        self._waiting.setdefault(home, {})[place] = None
        self._counts[_NEWCOMER] += 1
        return place

    def accept(self, accept: Callable[[], Accepted]) -> Accepted:
        """Call ``accept`` and return its result, a connection to be counted.

        Raises BlockingIOError when the event loop should do other work first,
        ConnectionAbortedError if the connection is gone already, Shortage if there are no
        descriptors or memory for it (wait for a second then), and other errors of ``accept``.
        """
        if self._paused or self._in_a_row >= AT_ONCE:
            self._in_a_row, self._paused = 0, False
            raise BlockingIOError(errno.EAGAIN, "others have their turn")
        while True:
            try:
                accepted = accept()
            except MemoryError as error:
                raise self._short_of(errno.ENOMEM) from error
            except OSError as error:
                self._in_a_row = 0
                if error.errno in PASSING:
                    raise ConnectionAbortedError(error.errno, error.strerror) from error
                if error.errno not in SHORT:
                    raise
                if self._spare is None or not self._spare.lend():
                    raise self._short_of(error.errno) from error
                self._note_shortage(error.errno)
            else:
                self._in_a_row += 1
                return accepted

    def drop_newcomers(self) -> None:
        """Close all newcomers."""
        for waiting in tuple(self._waiting.values()):
            for place in tuple(waiting):
                place.drop()

    def when_empty(self, call: Callable[[], None]) -> None:
        """Call ``call`` when no connection is open any more, which may be now."""
        self._when_empty.append(call)
        self._look()

    def moved(self, place: Place, before: int) -> None:
        """Update the counts after a place has changed.  Called by :class:`Place`."""
        if before == _NEWCOMER:
            waiting = self._waiting[place.home]
            del waiting[place]
            if not waiting:
                del self._waiting[place.home]
        self._counts[before] -= 1
        if place.is_ != _GONE:
            self._counts[place.is_] += 1
            return
        del self._places[place.descriptor]
        self._look()

    def refill(self) -> None:
        """Replace the spare descriptors that were used, after another descriptor was closed."""
        if self._spare is not None and self._spare.lent:
            self._spare.refill()

    def _look(self) -> None:
        while self._when_empty and not self._places:
            self._when_empty.pop()()

    def _crowded(self) -> str:
        """Return the home with most newcomers."""
        return max(self._waiting, key=lambda home: len(self._waiting[home]))

    def _drop_oldest(self, home: str) -> None:
        next(iter(self._waiting[home])).drop()
        self._note_dropped(home)

    def _note_dropped(self, home: str) -> None:
        self.dropped += 1
        more = self._throttle.due(home)
        if more is not None:
            self._logger.warning(
                "%s has too many connections that ask for nothing: the oldest are closed",
                home,
                extra={"left_out": more} if more else {},
            )

    def _short_of(self, number: int) -> Shortage:
        """Make room by closing newcomers, and return the error for accept() to raise."""
        self._paused = True
        self._note_shortage(number)
        for _ in range(min(AT_ONCE, self.newcomers)):
            self._drop_oldest(self._crowded())
        return Shortage(number, os.strerror(number))

    def _note_shortage(self, number: int) -> None:
        self.shortages += 1
        more = self._throttle.due(number)
        if more is not None:
            self._logger.error(
                "connections have to wait: %s",
                os.strerror(number).lower(),
                extra={"open": self.open, **({"left_out": more} if more else {})},
            )
