"""How many files and sockets this process may have open at once."""

from __future__ import annotations

import contextlib

SPARE = 128
"""Descriptors that are needed beside the connections': pictures, logs, the store, the loop."""


def allow(connections: int) -> int:
    """Have the system allow so many connections, and return how many of them it does allow.

    The limit is raised as far as it may be, and no further than necessary.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return connections
    needed = connections + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        within = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        # Some systems refuse what they say is allowed.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (within, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(1, min(connections, soft - SPARE))
