"""Work that takes long, and whoever watches it.

An evaluation of a large picture takes half a minute, and the search for a step of it many seconds.
What does the work tells how far it is; whoever wants to know watches.  The two need not know each
other, and nothing is told where nobody watches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Watcher = Callable[[str, float], None]
"""Told what is being done, a verb in -ing, and what share of that is done, 0 to 1.

It is called by the thread that works, which waits for it, some times a second at most.
"""

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Have ``watcher`` told of all that is done within the block, by this thread or task."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def tell(what: str, share: float) -> None:
    """Tell whoever watches that ``share`` of ``what`` is done."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(what, share)
