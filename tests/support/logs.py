"""Logging as it is in a process of its own, where pytest has not seen to it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unattended() -> Iterator[logging.Logger]:
    """Yield the root logger as it is before anybody has seen to it; afterwards it is as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    try:
        yield root
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
