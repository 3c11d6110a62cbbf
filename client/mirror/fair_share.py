"""Gives each owner of jobs an equal share of the time, however many jobs it has."""

from __future__ import annotations

from typing import Generic, TypeVar

Job = TypeVar("Job")


class FairShare(Generic[Job]):
    """Jobs by owner; the next job is one of the owner that has used the least time.

    Idle time is not saved up: an owner that returns counts as having used at least as much as the
    one served last.  There is at most one job for each key of an owner.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, dict[str, Job]] = {}
        self._had: dict[str, float] = {}
        """Seconds used by each owner, since the queue was last empty."""
        self._least = 0.0
        """Seconds that the owner served last had used."""

    def put(self, owner: str, key: str, job: Job) -> None:
        """Queue a job, or put it in the place of one with the same key that is waiting."""
        if owner not in self._waiting:
            self._waiting[owner] = {}
            self._had[owner] = max(self._least, self._had.get(owner, 0.0))
        self._waiting[owner][key] = job

    def next(self) -> tuple[str, Job] | None:
        """Take the next owner and its oldest job off the queue; None if the queue is empty."""
        if not self._waiting:
            self._had.clear()  # the queue was empty: all start equal again
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
        """Add the seconds that an owner's last job took."""
        self._had[owner] = max(self._least, self._had.get(owner, 0.0)) + seconds
