"""The pictures of a place in periods: what can be encoded independently of all others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from diffc_stream.bulk.places import Found
from diffc_stream.container.grammar import STREAM_SUFFIX
from diffc_stream.order import Order
from diffc_stream.succession import keys, period_of

Period = tuple[Found, ...]
"""A picture, or a key picture of a camera and those that go back to it, in order."""


def periods(found: Iterable[Found], key_every: float | None) -> Iterator[Period]:
    """Yield the periods of files; without ``key_every``, in seconds, each is one by itself.

    Pictures of a folder follow each other by time and name.  Links and streams do not, nor does
    what cannot be used.
    """
    if key_every is None:
        yield from ((one,) for one in found)
        return
    folders: dict[str, list[Found]] = {}
    for one in found:
        if one.wrong or one.linked or one.name.lower().endswith(STREAM_SUFFIX):
            yield (one,)
        else:
            folders.setdefault(one.name.rpartition("/")[0], []).append(one)
    for pictures in folders.values():
        pictures.sort(key=lambda one: (one.nanoseconds, one.name))
        names = [(one.nanoseconds, one.name.rpartition("/")[2]) for one in pictures]
        first = 0
        for place, key in enumerate(keys(names, period_of(key_every))):
            if key == place and place:
                yield tuple(pictures[first:place])
                first = place
        yield tuple(pictures[first:])


def ordered(found: Iterable[Period], order: Order | None) -> Iterator[Period]:
    """Yield periods in an ``order``, by default as they come.

    A period comes when any of its pictures would.
    """
    if order is None or not (order.newest or order.first):
        return iter(found)
    rank, newest = order.rank, order.newest

    def place(period: Period) -> tuple[int, int]:
        time = max(one.time for one in period)
        return min(rank(one.name) for one in period), -time if newest else 0

    return iter(sorted(found, key=place))
