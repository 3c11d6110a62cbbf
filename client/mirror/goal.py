"""How far a mirror asks for a stream at a time, so that others and the budget get their share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from diffc_stream.ledger import Ledger
from diffc_stream.order import Order
from diffc_stream.session import Target

from ..remote.links import AnyLink, PullLink
from ..storage.shielded import shielded
from .scheduler import FIRST, end_of, round_of
from .transfer import Transfer

URGENT = 1000.0
"""Weight of a picture's first bytes beside the later ones of other pictures."""
PORTION = 65_536
"""Bytes of a stream that are received at a time where others, or the budget, may come between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What to ask for."""

    target: Target
    weight: float = 1.0
    bound: int | None = None
    """Where the stream ends for now, if its target is beyond that."""
    raised: bool = False
    """Whether the target is only what others start from; its own comes after."""

    def until(self, bound: int) -> Goal:
        """Return a goal that ends at byte ``bound``, if this one does not end before."""
        wanted = self.target.bytes
        if wanted is not None and wanted <= bound:
            return self
        return replace(self, target=replace(self.target, bytes=bound), bound=bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What others need of a stream."""

    least: int = 0
    """So many bytes: they start from them."""
    aside: bool = False
    """Nothing else is wanted of it."""


NONE = Need()


class Goals:
    """The goals of a mirror's streams."""

    def __init__(self, target: Target, order: Order, ledger: Ledger | None) -> None:
        """Receive pictures up to ``target``, in an ``order``, as far as the ``ledger`` allows."""
        self._target = target
        self._order = order
        self._ledger = ledger

    @property
    def affordable(self) -> bool:
        """Whether the budget allows another stream."""
        return self._ledger is None or self._ledger.room() != 0

    @property
    def closed(self) -> bool:
        """Whether it is outside the budget's windows."""
        return self._ledger is not None and self._ledger.closed

    def turn(self) -> float | None:
        """Return the seconds after which the budget may allow something else; None is never."""
        return None if self._ledger is None else self._ledger.turn()

    def of(
        self, held: int, link: AnyLink, *, alone: bool, all_at_once: bool, need: Need = NONE
    ) -> Goal:
        """Return the goal of a stream of which ``held`` bytes are here, and others ``need`` some.

        ``alone`` says that there is no other picture, ``all_at_once`` that all that are wanted can
        be received at once.  Then only the first bytes need bounds: after them, the sender itself
        sends the bytes that gain most.
        """
        whole = self._aim(held, need)
        if self._order.newest:
            return whole if all_at_once else whole.until(held + PORTION)
        if isinstance(link, PullLink):  # each request costs a round trip, so ask once
            return whole
        urgent = held < FIRST and not alone
        if all_at_once and not urgent:
            return whole
        bounded = whole.until(end_of(round_of(held)))
        return replace(bounded, weight=URGENT if urgent else 1.0)

    def _aim(self, held: int, need: Need) -> Goal:
        """Return the goal without regard to other streams."""
        if need.aside:
            return Goal(target=Target(bytes=max(1, need.least)))
        target = self._target
        limited = target.bpp is not None or target.side is not None or target.psnr is not None
        if held >= need.least or (not limited and (target.bytes or need.least) >= need.least):
            return Goal(target=target)
        return Goal(target=Target(bytes=need.least), raised=True)

    @asynccontextmanager
    async def paid(self, goal: Goal, held: int, transfer: Transfer) -> AsyncIterator[Goal | None]:
        """Reserve bytes for a goal inside the block, and yield what of it the budget allows.

        None is nothing.  What has not been received at the end is given back.
        """
        ledger = self._ledger
        if ledger is None:
            yield goal
            return
        before = transfer.received
        end = goal.target.bytes
        wanted = PORTION if end is None else max(1, min(PORTION, end - held))
        granted = ledger.reserve(wanted)
        try:
            if granted and ledger.due:
                await shielded(ledger.save)
            yield goal.until(held + granted) if granted else None
        finally:
            ledger.settle(granted, transfer.received - before)
