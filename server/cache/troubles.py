"""What goes wrong with a store: logged once a minute, counted, and not waited for."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from ..ops.metrics import STORE_FAILURES

EVERY = 60.0
"""Seconds between two lines about the same trouble."""
FIRST_REST, REST = 1.0, 10.0
"""Seconds for which a store that did not answer in time is left alone: the first time, and doubled
each time until it answers, at most."""

logger = logging.getLogger("diffc_server")


@dataclass(slots=True)
class _Trouble:
    """One kind of trouble."""

    reason: str = ""
    """Empty while all is well."""
    since_line: int = 0
    """How often since the last line."""
    line: float = float("-inf")
    """When the last line was."""
    told: bool = False
    """Whether a line has said that it is there."""


class Troubles:
    """The troubles of one store; used on any thread."""

    def __init__(self, where: Callable[[], str], clock: Callable[[], float]) -> None:
        """Log about the place that ``where`` returns; ``clock`` returns seconds."""
        self._where = where
        self._clock = clock
        self._kinds = {what: _Trouble() for what in STORE_FAILURES}
        self._rest_until = float("-inf")
        self._rest = FIRST_REST
        self.counts: Counter[str] = Counter(dict.fromkeys(STORE_FAILURES, 0))
        """How often what has failed so far."""

    @property
    def resting(self) -> bool:
        """Whether the store is left alone, because it did not answer a moment ago."""
        return self._clock() < self._rest_until

    def rest(self) -> None:
        """Leave the store alone for a while."""
        self._rest_until = self._clock() + self._rest
        self._rest = min(2 * self._rest, REST)

    def note(self, what: str, error: OSError | None) -> None:
        """Note that something has failed, or with None that it has succeeded."""
        kind = self._kinds[what]
        if error is None:
            if kind.told:
                logger.warning("the store %s can be %s again", self._where(), what)
            kind.reason, kind.told, self._rest = "", False, FIRST_REST
            return
        self.counts[what] += 1
        kind.reason = error.strerror or str(error)
        kind.since_line += 1
        if self._clock() < kind.line + EVERY:
            return
        times = f" ({kind.since_line} times)" if kind.since_line > 1 else ""
        logger.warning("the store %s cannot be %s: %s%s", self._where(), what, kind.reason, times)
        kind.since_line, kind.line, kind.told = 0, self._clock(), True
