"""What goes wrong is said, and not more often than anybody reads."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

MOST = 10
"""Lines of one kind ..."""
EVERY = 60.0
"""... in so many seconds."""


class LogLimit:
    """Warnings of several kinds, each of them so often and no more.

    What is left out is counted, and said with the first one that is not.
    """

    def __init__(
        self, logger: logging.Logger, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._clock = clock
        self._since: dict[str, tuple[float, int]] = {}

    def say(self, kind: str, text: str, *values: object, most: int = MOST) -> None:
        """Warn, as ``logger.warning(text, *values)``; ``kind`` is one of a few."""
        now = self._clock()
        since, count = self._since.get(kind, (-EVERY, 0))
        if now - since >= EVERY:
            if count > most:
                self._logger.warning("%d warnings more about %s", count - most, kind)
            since, count = now, 0
        self._since[kind] = since, count + 1
        if count < most:
            self._logger.warning(text, *values)
