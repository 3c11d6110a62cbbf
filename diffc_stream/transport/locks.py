"""File locks between processes; the system releases them when a process is killed."""

from __future__ import annotations

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

SUPPORTED = fcntl is not None
"""Whether this system has file locks.  Without them, every process assumes that it is alone."""


def try_lock(descriptor: int) -> bool:
    """Lock an open file or folder; return False if another process has locked it.

    The lock lasts until the descriptor is closed.  Raises OSError if the file system has no locks.
    """
    if not SUPPORTED:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
