"""Passes the newest refinement between threads, dropping older ones."""

from __future__ import annotations

import threading

from ..decoding.refiner import Refinement


class Latest:
    """Holds one refinement, which a fast thread puts and a slow thread takes.

    Putting never waits: a new refinement replaces one that has not been taken.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._refinement: Refinement | None = None
        self._finished = False
        self._failure: Exception | None = None

    def put(self, refinement: Refinement) -> None:
        """Put a refinement; ignored after the end."""
        with self._changed:
            if not self._finished:
                self._refinement = refinement
                self._changed.notify_all()

    def finish(self, failure: Exception | None = None) -> None:
        """End the stream, with ``failure`` if there was one; only the first call counts."""
        with self._changed:
            if not self._finished:
                self._finished, self._failure = True, failure
                self._changed.notify_all()

    def stop(self) -> None:
        """End the stream and drop a refinement that has not been taken."""
        with self._changed:
            self._refinement, self._finished, self._failure = None, True, None
            self._changed.notify_all()

    def take(self) -> Refinement | None:
        """Wait for the next refinement; None after the last.  Raises the failure, if any."""
        with self._changed:
            self._changed.wait_for(lambda: self._refinement is not None or self._finished)
            refinement, self._refinement = self._refinement, None
            if refinement is None and self._failure is not None:
                raise self._failure
            return refinement
