"""Which frame a connection sends next: of the stream whose quality gains most by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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
        self._plans: dict[int, Plan] = {}
        self._changed: set[int] = set()
        """Streams whose plans are out of date: planning all for each frame took most of the time
        where there are many."""
        self._alone = False
        """The plans are those of an only stream."""
        self._gathered = 0.0
        self.affordable_at: float | None = None
        """When the visitor may be sent something again, if not yet, by the event loop's clock."""

    def add(self, outgoing: Outgoing) -> None:
        """Send a stream from now on."""
        self._outgoing[outgoing.stream] = outgoing
        self._changed.add(outgoing.stream)

    def remove(self, stream: int) -> None:
        """Send no more of a stream."""
        del self._outgoing[stream]
        self._plans.pop(stream, None)
        self._changed.discard(stream)

    def renew(self, stream: int) -> None:
        """Look at a stream again before the next frame: there is more of it, or it fails, or its
        target has changed."""
        if stream in self._outgoing:
            self._changed.add(stream)

    def gather(self, until: float) -> None:
        """Send only first frames until then: more streams may be asked for meanwhile."""
        self._gathered = until

    def fill(self) -> None:
        """Move what goes out next into the session, as much as is written together."""
        session = self._session
        self.affordable_at = None
        # What has to be paid for is paid for before the next.
        together = 1 if self._visit.paced else TOGETHER
        while session.backlog < together:
            self._plan()
            sent = self._next_frame()
            if sent is None:
                return
            self._changed.add(sent)

    def _plan(self) -> None:
        """Renew the plans of streams that have changed; end those that are over."""
        session = self._session
        while True:
            # An only stream is sent in larger pieces, and one that ends may leave another alone.
            alone = session.count == 1
            if alone != self._alone:
                self._alone = alone
                self._changed.update(self._outgoing)
            if not self._changed:
                return
            stream = self._changed.pop()
            outgoing = self._outgoing[stream]
            plan = outgoing.plan(session.position(stream), session.window, alone=alone)
            self._plans[stream] = plan
            if plan.over is not None:
                self._end(outgoing, plan.over)

    def _next_frame(self) -> int | None:
        """Move the frame that gains most into the session and return its stream, if there is
        one."""
        session = self._session
        # A sliver of credit is not worth a frame: there will soon be more.
        credit, current = session.credit, session.current
        ready = credit >= min(FRAME, current // 4) and self._affordable()
        best = self._best() if ready else None
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

    def _best(self) -> tuple[Outgoing, Outlook, int] | None:
        """Return the stream whose next frame gains most, and where that ends."""
        session = self._session
        best, gain = None, -inf
        gathering = self._clock() < self._gathered
        opening = session.count - len(self._plans)
        for stream, plan in self._plans.items():
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
