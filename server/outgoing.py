"""A stream on its way to one receiver: how far it goes, and what is known of its quality."""

from __future__ import annotations

from diffc_stream.session import MAX_STREAM, Open, Update
from diffc_stream.session.interleaving import Outlook, Turn, turn

from .pipeline import LOOK_AHEAD, SharedStream


class Outgoing:
    """One receiver's stream, as far as the picture's shared one has come."""

    def __init__(
        self,
        stream: int,
        image: str,
        shared: SharedStream,
        wanted: Open | Update,
        asked: float = 0.0,
    ) -> None:
        self.stream = stream
        self.image = image
        self.shared = shared
        self.asked = asked
        """When, by the event loop's clock."""
        self.sent = 0
        """Bytes of it."""
        self.change(wanted)
        self._asked: tuple[object, ...] = ()
        self._turn: Turn | None = None

    @property
    def begun(self) -> bool:
        """Something of it has been sent."""
        return self.sent > 0

    def change(self, wanted: Open | Update) -> None:
        """Take a new target and weight."""
        self._target, self._weight = wanted.target, wanted.weight

    def limit(self, position: int) -> tuple[int, bool]:
        """Return where the stream ends as far as is known, and whether that is settled.

        A quality is settled when so much of the stream is known beyond that it hardly changes, or
        nothing more will be.
        """
        shared, target = self.shared, self._target
        assert shared.pixels is not None
        length = target.length(shared.pixels)
        limit, settled = MAX_STREAM if length is None else length, True
        if target.side is not None:
            opening = shared.curve.opening(target.side)
            limit = limit if opening is None else min(limit, opening)
        if target.psnr is not None:
            good = shared.curve.reaching(target.psnr)
            if good is not None and good < limit:
                limit = good
                over = shared.complete or shared.failure is not None
                settled = over or len(shared) >= max(good, position) + LOOK_AHEAD
        return max(limit, position), settled

    def want(self, position: int, window: int) -> None:
        """Have what comes next computed."""
        limit, settled = self.limit(position)
        ahead = position + window + LOOK_AHEAD
        self.shared.want(min(limit, ahead) if settled else ahead)

    def outlook(self, position: int) -> Outlook | None:
        """Return what can be sent now and what it gives; None if there is nothing yet."""
        shared = self.shared
        limit, _ = self.limit(position)
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
        )

    def turn(self, outlook: Outlook, *, alone: bool) -> Turn | None:
        """Return what it would send next; what has not changed is not computed again."""
        asked = (
            outlook.position,
            outlook.end,
            outlook.last,
            outlook.weight,
            len(outlook.offsets),
            alone,
        )
        if asked != self._asked:
            self._asked, self._turn = asked, turn(outlook, alone=alone)
        return self._turn
