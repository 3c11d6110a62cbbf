"""Make evaluations faster by keeping freed memory instead of returning it to the system at once.

A denoiser evaluation allocates and frees large blocks for every layer.  By default, glibc gets each
of them from the system and returns it, and the system has to clear every page anew; for a picture
of three megapixels that takes half of the time.  Our own commands may change this, but a library
must not do it to the program that uses it.
"""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
"""Parameters of mallopt(3)."""


def keep_freed_memory() -> bool:
    """Make this process keep the memory that it frees; return False if that is not possible.

    Commands call this early and once.  It uses one arena only, because the arenas of threads cannot
    hold large blocks.  A process that runs for long and remembers more and more has to call
    :func:`give_back` now and then: the things that it remembers fragment the freed memory, until no
    large block fits between them.
    """
    glibc = _glibc()
    wishes = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1))
    return glibc is not None and all(glibc.mallopt(*wish) == 1 for wish in wishes)


def give_back() -> bool:
    """Return all freed memory to the system; return False if that is not possible."""
    glibc = _glibc()
    return glibc is not None and bool(glibc.malloc_trim(0))


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
