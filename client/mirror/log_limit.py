"""Limits how often warnings of one kind are logged."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

MOST = 10
"""Warnings of one kind ..."""
EVERY = 60.0
"""... in so many seconds."""


class LogLimit:
    """Logs warnings of several kinds, each at a limited rate.

    It counts the warnings that it leaves out, and logs that number before the next one.
    """

    def __init__(
        self, logger: logging.Logger, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._clock = clock
        self._since: dict[str, tuple[float, int]] = {}

    def say(self, kind: str, text: str, *values: object, most: int = MOST) -> None:
        """Log like ``logger.warning(text, *values)``; there have to be few values of ``kind``."""
        now = self._clock()
        since, count = self._since.get(kind, (-EVERY, 0))
        if now - since >= EVERY:
            if count > most:
                self._logger.warning("%d more warnings about %s", count - most, kind)
            since, count = now, 0
        self._since[kind] = since, count + 1
        if count < most:
            self._logger.warning(text, *values)
