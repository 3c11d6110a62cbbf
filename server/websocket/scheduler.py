"""Which frame a connection sends next: of the stream whose quality gains most by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from math import inf

from diffc_stream.errors import RequestRefused
from diffc_stream.session import Reason, SenderSession
from diffc_stream.session.interleaving import FRAME, Outlook, cut
from diffc_stream.transport.pacing import Paced

from ..auth.quotas import Visit
from ..ops.metrics import Figures
from .outbound_stream import Outgoing, Plan

TOGETHER = 8
"""Messages that are written at once: what is written cannot be taken back, but writing takes
long."""


class FrameScheduler:
    """Moves frames of the streams that are on their way into a session, and ends those that are
    over."""

    def __init__(
        self,
        session: SenderSession,
        websocket: Paced,
        visit: Visit,
        figures: Figures,
        *,
        end: Callable[[Outgoing, Reason | RequestRefused], None],
    ) -> None:
        """Call ``end`` with each stream that is over; it has to :meth:`remove` it."""
        self._session = session
        self._websocket = websocket
        self._visit = visit
        self._figures = figures
        self._end = end
        self._clock = asyncio.get_running_loop().time
        self._outgoing: dict[int, Outgoing] = {}
        self._gathered = 0.0
        self.affordable_at: float | None = None
        """When the visitor may be sent something again, if not yet, by the event loop's clock."""

    def add(self, outgoing: Outgoing) -> None:
        """Send a stream from now on."""
        self._outgoing[outgoing.stream] = outgoing

    def remove(self, stream: int) -> None:
        """Send no more of a stream."""
        del self._outgoing[stream]

    def gather(self, until: float) -> None:
        """Send only first frames until then: more streams may be asked for meanwhile."""
        self._gathered = until

    def fill(self) -> None:
        """Move what goes out next into the session, as much as is written together."""
        session = self._session
        self.affordable_at = None
        # What has to be paid for is paid for before the next.
        together = 1 if self._visit.paced else TOGETHER
        plans: dict[int, Plan] = {}
        stale = tuple(self._outgoing)
        while session.backlog < together:
            if self._end_one(stale, plans):
                # Another one may be alone now.
                plans, stale = {}, tuple(self._outgoing)
                continue
            sent = self._next_frame(plans)
            if sent is None:
                return
            # Nothing else can have changed meanwhile.
            stale = (sent,)

    def _end_one(self, stale: Iterable[int], plans: dict[int, Plan]) -> bool:
        """Renew the plans of ``stale`` streams; end the first that is over, and tell of it."""
        session = self._session
        alone = session.count == 1
        for stream in stale:
            outgoing = self._outgoing[stream]
            plan = outgoing.plan(session.position(stream), session.window, alone=alone)
            if plan.over is not None:
                self._end(outgoing, plan.over)
                return True
            plans[stream] = plan
        return False

    def _next_frame(self, plans: Mapping[int, Plan]) -> int | None:
        """Move the frame that gains most into the session and return its stream, if there is one.

        ``plans`` are those of all streams.
        """
        session = self._session
        # A sliver of credit is not worth a frame: there will soon be more.
        credit, current = session.credit, session.current
        ready = credit >= min(FRAME, current // 4) and self._affordable()
        best = self._best(plans) if ready else None
        if best is None:
            return None
        outgoing, outlook, end = best
        # Half a window at most: the other half is under way while the first is acknowledged.
        room = outlook.position + min(credit, current // 2)
        end = end if end <= room else cut(outlook, room)
        session.send(outgoing.stream, outgoing.shared.read(outlook.position, end))
        self._count(outgoing, end - outlook.position)
        return outgoing.stream

    def _count(self, outgoing: Outgoing, nbytes: int) -> None:
        figures = self._figures
        if not outgoing.sent:
            figures.first_bytes.observe(self._clock() - outgoing.asked)
        outgoing.sent += nbytes
        self._websocket.earn(nbytes)
        figures.frames += 1
        figures.payload += nbytes

    def _affordable(self) -> bool:
        """Tell whether the visitor may be sent a frame; if not, it is seen to when he may."""
        if not self._visit.paced:
            return True
        now = self._clock()
        ready = self._visit.ready_at(now)
        self.affordable_at = ready if ready > now else None
        return self.affordable_at is None

    def _best(self, plans: Mapping[int, Plan]) -> tuple[Outgoing, Outlook, int] | None:
        """Return the stream whose next frame gains most, and where that ends."""
        session = self._session
        best, gain = None, -inf
        gathering = self._clock() < self._gathered
        opening = session.count - len(plans)
        for stream, plan in plans.items():
            outgoing = self._outgoing[stream]
            if plan.outlook is None:
                opening += not outgoing.begun
            elif gathering and outgoing.begun:
                pass  # others first
            elif plan.turn is not None and plan.turn.gain > gain:
                best, gain = (outgoing, plan.outlook, plan.turn.end), plan.turn.gain
        # What is under way cannot be given to those that have nothing to send yet, but soon will;
        # with less than this, an acknowledgement might not come.
        crowded = opening and 3 * session.under_way >= session.current
        return None if crowded else best
