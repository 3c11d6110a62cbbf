"""Progress reports of work that takes long.

An evaluation of a large picture takes half a minute, and the search for one of its steps many
seconds.  The code that works calls :func:`tell`, and callers that want to show progress use
:func:`watched`.  Neither has to know the other, and without a watcher :func:`tell` does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Watcher = Callable[[str, float], None]
"""A function that is told what is being done (a verb in -ing) and which share is done, 0 to 1.

The working thread calls it, and waits for it, a few times a second at most.
"""

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Report to ``watcher`` the progress of work in the block, by this thread or task."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def tell(what: str, share: float) -> None:
    """Report to the watcher, if there is one, that ``share`` of ``what`` is done."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(what, share)
