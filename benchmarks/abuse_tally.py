"""How much an adversary does: no faster than it is told, and counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from diffc_stream.errors import LinkLost, RemoteProtocolError

TROUBLE = (OSError, EOFError, LinkLost, RemoteProtocolError, asyncio.LimitOverrunError)
"""What an adversary meets that a daemon defends itself against; all else is a bug in here."""
MOST_SAID = 5
LONGEST_SAID = 120


@dataclass(slots=True, kw_only=True)
class Tally:
    """What came of one kind of abuse."""

    tried: int = 0
    """Connections, requests or messages, whatever the kind is made of."""
    ended: int = 0
    """Times that the daemon, or the system, put an end to it."""
    most_held: int = 0
    """Connections at once."""
    stolen: int = 0
    """Answers with what is nobody's business."""
    said: dict[str, int] = field(default_factory=dict)
    """Why it was ended, the first few reasons, and how often."""
    _held: int = 0

    @asynccontextmanager
    async def holding(self) -> AsyncIterator[None]:
        """Count a connection as long as it lasts, and take its end for what it is."""
        self._held += 1
        self.most_held = max(self.most_held, self._held)
        try:
            yield
        except TROUBLE as error:
            self.ended += 1
            reason = (str(error).strip() or type(error).__name__)[:LONGEST_SAID]
            if reason in self.said or len(self.said) < MOST_SAID:
                self.said[reason] = self.said.get(reason, 0) + 1
        finally:
            self._held -= 1

    def facts(self) -> dict[str, object]:
        """Return it for JSON."""
        return {
            "tried": self.tried,
            "ended": self.ended,
            "most held": self.most_held,
            "stolen": self.stolen,
            "said": dict(self.said),
        }


class Pace:
    """Lets so many things a second happen, of all who share it."""

    def __init__(self, rate: float) -> None:
        """Let ``rate`` things a second happen, and a tenth of a second's at once."""
        self._rate = rate
        self._next = 0.0

    async def turn(self, size: int = 1) -> None:
        """Wait for as long as ``size`` more would be too much; others run in any case."""
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now - 0.1) + size / self._rate
        await asyncio.sleep(max(0.0, self._next - now))
