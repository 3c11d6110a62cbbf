"""A mesh of radios that repeat what they hear, simulated: who has heard which packets.

Each radio sends a packet once more when it hears it for the first time, as long as there are hops
left, which is what Meshtastic's do ("managed flooding").  Each link loses packets on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """Radios by number, of which some hear each other."""

    links: Sequence[tuple[int, int, float]]
    """Two radios, and the share of packets that is lost between them, either way."""
    hops: int = 3
    """A packet is repeated so many times on its way."""

    def heard(self, origin: int, drawn: np.random.Generator) -> set[int]:
        """Send a packet from ``origin``, and return who has it."""
        have = {origin}
        sending = [origin]
        for _ in range(self.hops + 1):
            fresh = []
            for radio in sending:
                for one, other, loss in self.links:
                    if radio not in (one, other):
                        continue
                    neighbour = other if radio == one else one
                    if drawn.random() >= loss and neighbour not in have:
                        have.add(neighbour)
                        fresh.append(neighbour)
            sending = fresh
        return have


VILLAGE = Mesh(
    links=(
        *((0, 1, 0.3), (0, 2, 0.5), (1, 2, 0.3), (1, 3, 0.4), (2, 4, 0.6)),
        *((3, 4, 0.4), (3, 5, 0.4), (4, 5, 0.6)),
    )
)
FAR = (1, 3, 5)
"""Of its six radios those that are one, two and three hops away from 0."""


def arrivals(packets: int, seed: int, mesh: Mesh = VILLAGE) -> list[list[bool]]:
    """Return which of so many packets from radio 0 each of :data:`FAR` has."""
    drawn = np.random.default_rng(seed)
    have = [mesh.heard(0, drawn) for _ in range(packets)]
    return [[radio in heard for heard in have] for radio in FAR]
