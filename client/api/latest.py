"""A place for one picture: the newest wins."""

from __future__ import annotations

import threading

from ..decoding.refiner import Refinement


class Latest:
    """Where a thread that is slow finds the newest refinement, and a fast one leaves it.

    Whoever puts one down never waits: it takes the place of one that nobody has taken.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._refinement: Refinement | None = None
        self._finished = False
        self._failure: Exception | None = None

    def put(self, refinement: Refinement) -> None:
        """Put down a refinement; nothing comes of it after the end."""
        with self._changed:
            if not self._finished:
                self._refinement = refinement
                self._changed.notify_all()

    def finish(self, failure: Exception | None = None) -> None:
        """Say that no more will come, be it because of ``failure``; only the first end counts."""
        with self._changed:
            if not self._finished:
                self._finished, self._failure = True, failure
                self._changed.notify_all()

    def stop(self) -> None:
        """Finish, and drop what nobody has taken: there is nothing more to take from now on."""
        with self._changed:
            self._refinement, self._finished, self._failure = None, True, None
            self._changed.notify_all()

    def take(self) -> Refinement | None:
        """Wait for a refinement not taken before; None after the last.  Raises what went wrong."""
        with self._changed:
            self._changed.wait_for(lambda: self._refinement is not None or self._finished)
            refinement, self._refinement = self._refinement, None
            if refinement is None and self._failure is not None:
                raise self._failure
            return refinement
