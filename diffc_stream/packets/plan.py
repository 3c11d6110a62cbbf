"""Which packet comes next: pieces in order, and between them repairs of the first pieces.

What loses a receiver most are the early pieces.  So repairs sum up the first so many of the pieces
sent, a share of them that stays the same while their number grows: redundancy goes to what is worth
most, and reaches further the more has been sent (docs/decisions/0034).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from diffc_stream.packets.grammar import DRAWS, WIDEST

Entry = tuple[int, int | None]
"""(number, None) is a piece, (window, draw) a repair."""

LATEST = 11
"""A carousel shows its first piece so many times a round, at least,"""
OFTENEST = 4
"""but, where there are few pieces, in no more than one of so many packets."""
HALF = 0.5
"""Repairs begin when they would be of half a piece."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many repairs there are, and of what."""

    reach: float = 0.25
    """Repairs are of the first so many of the packets sent, 0 to 1."""
    repairs: float = 1.0
    """There are so many repairs for each of those pieces."""

    @classmethod
    def for_loss(cls, loss: float | None) -> Plan:
        """Return the plan for a link that loses the share ``loss`` of packets, None if unknown."""
        if loss is None:
            return cls()
        if not 0.0 <= loss <= 0.9:
            raise ValueError(f"a link that loses {loss:g} of its packets: 0 to 0.9 can be planned")
        return cls(reach=0.5 if loss else 0.0, repairs=1.5 * loss / (1.0 - loss))

    def entries(self, pieces: int, *, carousel: bool = False, packets: int = 0) -> Iterator[Entry]:
        """Yield what to send of so many pieces: one round, or rounds without an end.

        A single round is filled up to so many ``packets``, if there are repairs.

        In a carousel the first piece comes often, so that whoever joins has
        a picture soon.  From its second round on repairs are of all pieces that they can be of.
        """
        interval = max(OFTENEST, int(pieces * (1 + self.reach * self.repairs)) // LATEST)
        draw, again = 0, False
        while True:
            sent = number = made = since = 0
            while number < pieces:
                window = self._window(sent, number, made, pieces if again else 0)
                if carousel and number and since >= interval:
                    window = 1
                else:
                    made += window > 0
                yield (window, draw) if window else (number, None)
                draw = (draw + (window > 0)) % DRAWS
                since = 1 if window == 1 or not (window or number) else since + 1
                number += not window
                sent += 1
            if not carousel:
                more = packets - sent if self.repairs else 0
                yield from ((min(pieces, WIDEST), (draw + n) % DRAWS) for n in range(more))
                return
            again = True

    def _window(self, sent: int, number: int, made: int, pieces: int) -> int:
        """Return of how many pieces a repair would be due now; 0 if none is.

        ``pieces`` is how many there are, if all of them have been sent before.
        """
        window = min(ceil(self.reach * (sent + 1)), number)
        if self.reach * (sent + 1) < HALF or made >= self.repairs * window:
            return 0
        return min(pieces or window, WIDEST)
