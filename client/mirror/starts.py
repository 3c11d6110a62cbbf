"""What the streams of a mirror start from: other streams, which have to be there as far as that.

Headers say it, as they arrive; the picture that a stream starts from may come later, or be removed
at the sender while others still start from it.
"""

from __future__ import annotations

from diffc_stream.container import Header
from diffc_stream.errors import MissingReference
from diffc_stream.session import MAX_STREAM, Reason

from ..storage.references import name_beside
from .state import MOST_STARTS, Records


class Starts:
    """Which streams start from which others, and from how much of them."""

    def __init__(self, records: Records) -> None:
        """Go on with what ``records`` say; pictures that have to grow for others are wanted."""
        self._records = records
        self._after: dict[str, set[str]] = {}
        """For each picture, those that start from it."""
        for name, (start, _) in records.starts.items():
            self._after.setdefault(start, set()).add(name)
        for start in self._after:
            self.want(start)

    def least(self, name: str) -> int:
        """Return how many bytes of a picture others start from."""
        starts = self._records.starts
        return max((starts[other][1] for other in self._after.get(name, ())), default=0)

    def outdated(self, name: str) -> list[str]:
        """Want the pictures again that start from one, which has been replaced; return them."""
        found = [one for one in self._after.get(name, ()) if one in self._records.images]
        for one in found:
            self._records.images[one].ended = None
        return found

    def note(self, name: str, header: Header, *, files: bool) -> str | None:
        """Note what a header says; return the picture that has to grow for it, if there is one.

        For ``files`` see :func:`name_beside`.
        """
        if header.reference is None:
            self._drop(name)
            return None
        if header.reference.size > MAX_STREAM:
            return None  # no stream is as long
        try:
            start = name_beside(name, header.reference, files=files)
        except MissingReference:
            return None
        found = start, header.reference.size
        starts = self._records.starts
        if start == name or starts.get(name) == found or len(starts) >= MOST_STARTS:
            return None
        self._drop(name)
        starts[name] = found
        self._after.setdefault(start, set()).add(name)
        return start

    def enough(self, name: str, ended: Reason, length: int) -> bool:
        """Tell whether a stream that has ended at ``length`` bytes is long enough for others."""
        return ended is not Reason.TARGET or length >= self.least(name)

    def want(self, name: str) -> bool:
        """Want more of a picture if others start from more than is there; tell whether it is known.

        The sender may not have offered it yet.
        """
        record = self._records.images.get(name)
        if record is None:
            return False
        if record.ended is not None and not self.enough(name, record.ended, record.length):
            record.ended = None
        return True

    def removed(self, name: str) -> list[str]:
        """Take note that the sender has removed a picture; return the pictures to delete now.

        None while others start from it; with the last of these it is to be deleted too.
        """
        found: list[str] = []
        start: str | None = name
        while start is not None and not self._after.get(start):  # chains may be very long
            found.append(start)
            start = self._drop(start)
            if start in self._records.images:
                break
        return found

    def _drop(self, name: str) -> str | None:
        """Forget what a stream starts from, and return it."""
        start, _ = self._records.starts.pop(name, (None, 0))
        if start is not None:
            self._after[start].discard(name)
            if not self._after[start]:
                del self._after[start]
        return start
