"""Which bytes an HTTP request asks for, and on what condition (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from diffc_stream.session import MAX_STREAM

_ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,99})-([0-9]{0,99})[ \t]*", re.IGNORECASE)
_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


Fields = Callable[[str], list[str]]
"""All values of a header of a request, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """``bytes=FIRST-LAST``, ``bytes=FIRST-`` or ``bytes=-LAST``; both ends are included."""

    first: int | None
    """None: it is the last ``last`` bytes that are asked for."""
    last: int | None
    """None: to the end."""

    @classmethod
    def parse(cls, value: str) -> Range | None:
        """Read a Range header; None if it is to be ignored: another unit, several ranges, nonsense.

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
        """It ends where the stream does, wherever that is: what it says is longer than any."""
        return self.first is None or self.last is None or self.last >= MAX_STREAM - 1

    def within(self, total: int) -> range | None:
        """Return what there is of it in ``total`` bytes; None if there is nothing."""
        if self.first is None:
            assert self.last is not None
            found = range(max(0, total - self.last), total)
        else:
            found = range(self.first, total if self.last is None else min(self.last + 1, total))
        return found or None


def names(condition: str, etag: str, *, weakly: bool) -> bool:
    """Tell whether ``etag``, a strong one in quotes, is among the tags of a condition.

    Weak tags count ``weakly`` only, if they are the same after their ``W/``.
    """
    return any(tag == etag and (weakly or not weak) for weak, tag in _TAG.findall(condition))


def precondition(fields: Fields, etag: str) -> HTTPStatus | None:
    """Return the status that answers a conditional request for what is ``etag`` now, or None."""
    # These may be repeated: a list goes on.
    match = ",".join(fields("If-Match")) or "*"
    if match != "*" and not names(match, etag, weakly=False):
        return HTTPStatus.PRECONDITION_FAILED
    none_match = ",".join(fields("If-None-Match"))
    if none_match == "*" or names(none_match, etag, weakly=True):
        return HTTPStatus.NOT_MODIFIED
    return None


def ranged(fields: Fields, etag: str) -> Range | None:
    """Return the range that is asked for of what is ``etag`` now; None: everything."""
    values, conditions = fields("Range"), fields("If-Range")
    if len(values) != 1 or not all(names(value, etag, weakly=False) for value in conditions):
        return None
    return Range.parse(values[0])
