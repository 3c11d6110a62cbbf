"""What every kind of abuse is given, and the connections that most are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .abuse_tally import Pace, Tally
from .abuse_wire import Front


@dataclass(frozen=True, slots=True, kw_only=True)
class Prey:
    """What is in the folders of the daemons that are abused, as far as adversaries know."""

    model: str
    """Fingerprint of the model in use."""
    ready: tuple[str, ...]
    """Streams in the sender's folder."""
    large: str
    """One of them that is large."""
    photos: tuple[str, ...]
    """Pictures in the sender's folder."""
    folder: str
    """Of the sender, for who may write there."""
    secret: str
    """Folder with what is nobody's business."""
    own: tuple[str, ...]
    """What the user's own files in the mirror's folder are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One kind of abuse of one daemon."""

    front: Front
    prey: Prey
    who: str
    """Has a token of its own under this name."""
    share: float = 1.0
    """Of the usual number of connections, for small machines and tests."""
    tally: Tally = field(default_factory=Tally)

    @property
    def token(self) -> str:
        """What it shows."""
        return self.front.tokens[self.who]

    def some(self, usual: int) -> int:
        """Return how many connections take the place of ``usual`` ones."""
        return max(1, round(usual * self.share))


Once = Callable[[int], Awaitable[None]]
"""One connection from beginning to end, given the number of the place that it has."""


async def keep_up(attack: Attack, connections: int, rate: float, once: Once) -> None:
    """Keep so many connections up for ever, by beginning ``rate`` a second at most."""
    pace = Pace(rate)

    async def place(number: int) -> None:
        while True:
            await pace.turn()
            attack.tally.tried += 1
            async with attack.tally.holding():
                await once(number)

    async with asyncio.TaskGroup() as tasks:
        for number in range(attack.some(connections)):
            tasks.create_task(place(number))
