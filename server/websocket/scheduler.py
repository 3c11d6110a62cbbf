"""Schedules a connection's frames: the next one is of the stream whose quality gains most by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

from diffc_stream.errors import RequestRefused
from diffc_stream.session import Reason, SenderSession
from diffc_stream.session.interleaving import FRAME, Outlook, cut
from diffc_stream.transport.pacing import Paced

from ..auth.quotas import ConnectionQuota
from ..ops.metrics import SenderMetrics
from .outbound_stream import OutboundStream, Plan

TOGETHER = 8
"""Messages in one write: fewer writes cost less time, but written messages cannot be taken back."""


class FrameScheduler:
    """Moves frames of a connection's streams into its session, and ends streams that are over."""

    def __init__(
        self,
        session: SenderSession,
        websocket: Paced,
        quota: ConnectionQuota,
        metrics: SenderMetrics,
        *,
        end: Callable[[OutboundStream, Reason | RequestRefused], None],
    ) -> None:
        """Call ``end`` with each stream that is over; ``end`` has to :meth:`remove` it."""
        self._session = session
        self._websocket = websocket
        self._visit = quota
        self._metrics = metrics
        self._end = end
        self._clock = asyncio.get_running_loop().time
        self._outbound: dict[int, OutboundStream] = {}
        self._plans: dict[int, Plan] = {}
        self._changed: set[int] = set()
        """Streams whose plans are outdated: with many streams, planning all of them for each frame
        took most of the time."""
        self._alone = False
        """Whether the plans were made for a single stream."""
        self._gathered = 0.0
        self.affordable_at: float | None = None
        """When the client's limits allow the next frame, by the event loop's clock; None if now."""

    def add(self, outbound: OutboundStream) -> None:
        """Begin to send a stream."""
        self._outbound[outbound.stream] = outbound
        self._changed.add(outbound.stream)

    def remove(self, stream: int) -> None:
        """Stop sending a stream."""
        del self._outbound[stream]
        self._plans.pop(stream, None)
        self._changed.discard(stream)

    def renew(self, stream: int) -> None:
        """Plan a stream again before the next frame, because it has grown or failed, or its target
        has changed."""
        if stream in self._outbound:
            self._changed.add(stream)

    def gather(self, until: float) -> None:
        """Send only first frames until ``until``, because more requests may follow."""
        self._gathered = until

    def fill(self) -> None:
        """Move the next frames into the session, up to one write."""
        session = self._session
        self.affordable_at = None
        # With limits, each frame is counted before the next is chosen.
        together = 1 if self._visit.paced else TOGETHER
        while session.backlog < together:
            self._plan()
            sent = self._next_frame()
            if sent is None:
                return
            self._changed.add(sent)

    def _plan(self) -> None:
        """Renew outdated plans, and end the streams that are over."""
        session = self._session
        while True:
            # A single stream is sent in larger pieces, and an end may leave a single one.
            alone = session.count == 1
            if alone != self._alone:
                self._alone = alone
                self._changed.update(self._outbound)
            if not self._changed:
                return
            # In order: of streams that gain the same, the one that was planned first is sent first.
            stream = min(self._changed)
            self._changed.discard(stream)
            outbound = self._outbound[stream]
            plan = outbound.plan(session.position(stream), session.window, alone=alone)
            self._plans[stream] = plan
            if plan.over is not None:
                self._end(outbound, plan.over)

    def _next_frame(self) -> int | None:
        """Move the frame that gains most into the session; return its stream, or None."""
        session = self._session
        # Wait for more credit rather than send a tiny frame.
        credit, current = session.credit, session.current
        ready = credit >= min(FRAME, current // 4) and self._affordable()
        best = self._best() if ready else None
        if best is None:
            return None
        outbound, outlook, end = best
        # Half a window at most: the other half is in flight while the first is acknowledged.
        room = outlook.position + min(credit, current // 2)
        end = end if end <= room else cut(outlook, room)
        session.send(outbound.stream, outbound.shared.read(outlook.position, end))
        self._count(outbound, end - outlook.position)
        return outbound.stream

    def _count(self, outbound: OutboundStream, nbytes: int) -> None:
        metrics = self._metrics
        if not outbound.sent:
            metrics.first_bytes.observe(self._clock() - outbound.asked)
        outbound.sent += nbytes
        self._websocket.earn(nbytes)
        metrics.frames += 1
        metrics.payload += nbytes

    def _affordable(self) -> bool:
        """Tell whether the client's limits allow a frame; if not, set ``affordable_at``."""
        if not self._visit.paced:
            return True
        now = self._clock()
        ready = self._visit.ready_at(now)
        self.affordable_at = ready if ready > now else None
        return self.affordable_at is None

    def _best(self) -> tuple[OutboundStream, Outlook, int] | None:
        """Return the stream whose next frame gains most, and where that ends."""
        session = self._session
        best, gain = None, -inf
        gathering = self._clock() < self._gathered
        opening = session.count - len(self._plans)
        for stream, plan in self._plans.items():
            outbound = self._outbound[stream]
            if plan.outlook is None:
                opening += not outbound.begun
            elif gathering and outbound.begun:
                pass  # others first
            elif plan.turn is not None and plan.turn.gain > gain:
                best, gain = (outbound, plan.outlook, plan.turn.end), plan.turn.gain
        # Streams that have no bytes yet, but soon will, should get a part of the window, which
        # bytes in flight have used up.  With less than a third, acknowledgements might not come.
        crowded = opening and 3 * session.under_way >= session.current
        return None if crowded else best
