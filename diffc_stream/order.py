"""In which order pictures are received, or encoded: with a budget, the last may not come at all."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Which pictures come first."""

    newest: bool = False
    """Whether the last changed come first in all."""
    first: tuple[str, ...] = ()
    """Patterns of names, as of a shell: those that match the first of them come before all others,
    and so on."""

    def rank(self, name: str) -> int:
        """Return how many patterns come before the one that ``name`` matches."""
        ranks = (number for number, wild in enumerate(self.first) if fnmatchcase(name, wild))
        return next(ranks, len(self.first))
