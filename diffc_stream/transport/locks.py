"""Locks of files that other processes see, and that the system gives back when one is killed."""

from __future__ import annotations

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

SUPPORTED = fcntl is not None
"""This system has them; without them everybody is alone, as far as it can be told."""


def try_lock(descriptor: int) -> bool:
    """Lock an open file or folder against other processes; False if one of them has it locked.

    It stays so until the descriptor is closed.  Raises OSError where the file system has no locks.
    """
    if not SUPPORTED:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
