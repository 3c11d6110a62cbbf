"""Whose turn it is: equal shares of time for all, whatever each of them asks for."""

from __future__ import annotations

from typing import Generic, TypeVar

Job = TypeVar("Job")


class FairShare(Generic[Job]):
    """Jobs by whom they are for, of whom the one who has had least time is next.

    Time that nobody asked for is not saved up: who comes back is no further than who has had least
    of those that wait.  What is held is one job for every key of whoever is given.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, dict[str, Job]] = {}
        self._had: dict[str, float] = {}
        """Seconds, of all who came since somebody last had to wait."""
        self._least = 0.0
        """What the last one to be served had had."""

    def put(self, owner: str, key: str, job: Job) -> None:
        """Have a job done; one of the same key that waits already is, instead."""
        if owner not in self._waiting:
            self._waiting[owner] = {}
            self._had[owner] = max(self._least, self._had.get(owner, 0.0))
        self._waiting[owner].setdefault(key, job)

    def next(self) -> tuple[str, Job] | None:
        """Return whose turn it is and his oldest job, which waits no longer; None if none does."""
        if not self._waiting:
            self._had.clear()  # nobody has been kept waiting
            self._least = 0.0
            return None
        owner = min(self._waiting, key=self._had.__getitem__)
        self._least = self._had[owner]
        jobs = self._waiting[owner]
        job = jobs.pop(next(iter(jobs)))
        if not jobs:
            del self._waiting[owner]
        return owner, job

    def spent(self, owner: str, seconds: float) -> None:
        """Say what the job just done has taken."""
        self._had[owner] = max(self._least, self._had.get(owner, 0.0)) + seconds
