"""A stream that is sent to one receiver: how far it goes, and its next frame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from diffc_stream.errors import RequestRefused
from diffc_stream.session import MAX_STREAM, Open, Reason, Update
from diffc_stream.session.interleaving import Outlook, Turn, turn

from ..encoding.pipeline import LOOK_AHEAD, Account, SharedStream


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do next with a stream."""

    over: Reason | RequestRefused | None
    """Why it ends now; None if it does not."""
    outlook: Outlook | None
    """The bytes that can be sent; None if there are none yet."""
    turn: Turn | None
    """The best next frame; None if it is better to wait for more bytes."""


class OutboundStream:
    """One receiver's position in the shared stream of a picture."""

    def __init__(
        self,
        stream: int,
        image: str,
        shared: SharedStream,
        wanted: Open | Update,
        asked: float = 0.0,
        account: Account | None = None,
    ) -> None:
        self._account = account
        self.stream = stream
        self.image = image
        self.shared = shared
        self.asked = asked
        """When it was asked for, by the event loop's clock."""
        self.sent = 0
        """How many bytes of it have been sent."""
        self.change(wanted)

    @property
    def begun(self) -> bool:
        """Whether any of it has been sent."""
        return self.sent > 0

    def change(self, wanted: Open | Update) -> None:
        """Set a new target and weight."""
        self._target, self._weight = wanted.target, wanted.weight
        self._planned: tuple[object, ...] = ()
        self._known: tuple[object, ...] = ()

    def plan(self, position: int, window: int, *, alone: bool) -> Plan:
        """Return what to do next, and ask for the bytes after that, up to a ``window`` ahead.

        It computes a plan only if something has changed.  ``alone`` says that no other stream
        shares the connection.
        """
        shared = self.shared
        state = (position, len(shared), shared.complete, shared.failure, alone)
        if state != self._planned:
            self._planned = state
            limit, settled = self.limit(position)
            outlook = self._outlook(position, limit, alone=alone)
            ahead = turn(outlook, alone=alone) if outlook is not None else None
            self._plan = Plan(self._over(position, limit, settled), outlook, ahead)
            length = position + window + LOOK_AHEAD
            self._ahead = min(limit, length) if settled else length
        if self._plan.over is None and not shared.complete:
            refusal = shared.refusal(self._account) if self._account is not None else None
            if refusal is None:
                shared.want(self._ahead)
            elif position >= len(shared):
                return Plan(refusal, None, None)
        return self._plan

    def limit(self, position: int) -> tuple[int, bool]:
        """Return where the stream ends as far as is known, and whether that is final.

        The end at a target quality is final once so much of the stream beyond it is known that it
        hardly changes, or once the stream is complete.
        """
        shared = self.shared
        state = (len(shared), shared.complete, shared.failure)
        if state != self._known:
            self._known = state
            self._limit, self._by_quality = self._ends()
        # Bytes that were sent cannot be taken back, even if the end moves before them.
        limit = max(self._limit, position)
        growing = not shared.complete and shared.failure is None
        unsure = self._by_quality and growing and len(shared) < limit + LOOK_AHEAD
        return limit, not unsure

    def _outlook(self, position: int, limit: int, *, alone: bool) -> Outlook | None:
        shared = self.shared
        end = min(len(shared), limit)
        if end <= position:
            return None
        return Outlook(
            position=position,
            end=end,
            last=end == limit or shared.complete or shared.failure is not None,
            weight=self._weight,
            offsets=shared.curve.offsets,
            psnr=shared.curve.psnr(),
            boundaries=shared.curve.boundaries,
            hull=() if alone else shared.curve.hull(),
        )

    def _ends(self) -> tuple[int, bool]:
        """Return where the target ends the stream, and whether its quality decides that."""
        shared, target = self.shared, self._target
        assert shared.pixels is not None
        length = target.length(shared.pixels)
        limit, by_quality = MAX_STREAM if length is None else length, False
        if target.side is not None:
            opening = shared.curve.opening(target.side)
            limit = limit if opening is None else min(limit, opening)
        if target.psnr is not None:
            good = shared.curve.reaching(target.psnr)
            if good is not None and good < limit:
                limit, by_quality = good, True
        return limit, by_quality

    def _over(self, position: int, limit: int, settled: bool) -> Reason | RequestRefused | None:
        shared = self.shared
        if shared.complete and position >= len(shared):
            return Reason.COMPLETE
        if position >= limit and settled:
            return Reason.TARGET
        return shared.failure if position >= len(shared) else None


@dataclass(slots=True)
class Requested:
    """A requested stream, from OPEN to its end."""

    wanted: Open | Update
    """The last OPEN or UPDATE."""
    asked: float
    """When it was asked for, by the event loop's clock."""
    wake: Callable[[], None]
    """Called when the stream has grown."""
    preparing: asyncio.Task[None] | None = None
    """The task that finds it; None once it has been found or refused."""
    outbound: OutboundStream | None = None
    """The stream while it is sent; None before that."""
