"""Keep freed memory instead of returning it to the system at once.

A denoiser evaluation allocates and frees large blocks for every layer.  glibc takes each from the
system and gives it back, and the system clears every page anew: for a picture of three megapixels
half of the time.  Programs of our own may change that; a library must not do it to its host.
"""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
"""Parameters of mallopt(3)."""


def keep_freed_memory() -> bool:
    """Have this process keep what it frees; return False where that cannot be arranged.

    For commands, early and once.  One arena, because those of threads cannot hold large blocks.
    What stays up and remembers more and more has to :func:`give_back` now and then: what it
    remembers lies between what is kept, in whose pieces no large block has room.
    """
    glibc = _glibc()
    wishes = ((_ARENA_MAX, 1), (_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1))
    return glibc is not None and all(glibc.mallopt(*wish) == 1 for wish in wishes)


def give_back() -> bool:
    """Give freed memory back to the system, wherever it lies; return False where nothing can be."""
    glibc = _glibc()
    return glibc is not None and bool(glibc.malloc_trim(0))


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
