"""Range and conditional requests in HTTP (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from diffc_stream.session import MAX_STREAM

_ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,99})-([0-9]{0,99})[ \t]*", re.IGNORECASE)
_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


Fields = Callable[[str], list[str]]
"""Returns all values of a request's header, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """``bytes=FIRST-LAST``, ``bytes=FIRST-`` or ``bytes=-LAST``; both ends are inclusive."""

    first: int | None
    """None asks for the last ``last`` bytes."""
    last: int | None
    """None goes to the end."""

    @classmethod
    def parse(cls, value: str) -> Range | None:
        """Parse a Range header; None if it has to be ignored, being malformed, in another unit or
        of several ranges.

        >>> Range.parse("bytes=0-999")
        Range(first=0, last=999)
        """
        match = _ONE_RANGE.fullmatch(value)
        if match is None:
            return None
        first, last = (int(digits) if digits else None for digits in match.groups())
        if first is None and last is None:
            return None
        if first is not None and last is not None and last < first:
            return None
        return cls(first=first, last=last)

    @property
    def open(self) -> bool:
        """Whether it reaches to the stream's end: it says no end, or one beyond any stream."""
        return self.first is None or self.last is None or self.last >= MAX_STREAM - 1

    def within(self, total: int) -> range | None:
        """Return the part of it that lies in ``total`` bytes; None if there is none."""
        if self.first is None:
            assert self.last is not None
            found = range(max(0, total - self.last), total)
        else:
            found = range(self.first, total if self.last is None else min(self.last + 1, total))
        return found or None


def names(condition: str, etag: str, *, weakly: bool) -> bool:
    """Tell whether ``etag``, a strong tag in quotes, is among the tags of a condition.

    With ``weakly``, a weak tag also matches if it is the same after its ``W/``.
    """
    return any(tag == etag and (weakly or not weak) for weak, tag in _TAG.findall(condition))


def precondition(fields: Fields, etag: str) -> HTTPStatus | None:
    """Return the status that a conditional request gets while ``etag`` is current, or None."""
    # A repeated header continues the list of tags.
    match = ",".join(fields("If-Match")) or "*"
    if match != "*" and not names(match, etag, weakly=False):
        return HTTPStatus.PRECONDITION_FAILED
    none_match = ",".join(fields("If-None-Match"))
    if none_match == "*" or names(none_match, etag, weakly=True):
        return HTTPStatus.NOT_MODIFIED
    return None


def ranged(fields: Fields, etag: str) -> Range | None:
    """Return the requested range while ``etag`` is current; None is everything."""
    values, conditions = fields("Range"), fields("If-Range")
    if len(values) != 1 or not all(names(value, etag, weakly=False) for value in conditions):
        return None
    return Range.parse(values[0])
