"""Keep a daemon's memory and its pauses small while it has many connections.

A library must not do this to the program that uses it, but our daemons may.
"""

from __future__ import annotations

import gc
from asyncio import sslproto

FULL_COLLECTION = 50
"""Collections of younger objects after which the collector looks at all; Python's default is 10."""
TLS_BUFFER = 32 * 1024
"""Bytes that a TLS connection reads at once; a record holds 16 KiB at most."""


def keep_small() -> None:
    """Give TLS connections small buffers, and free the garbage collector of what exists by now.

    asyncio gives each TLS connection a buffer of 256 KiB: an idle receiver of a sender takes 299 kB
    with it, and 46 kB with the one that it gets from here on.

    The collector stops all threads while it looks at all objects.  Imports leave 50,000 to 100,000
    of them, which are never freed, so call this once all is loaded, before the first connection.

    A full collection among a thousand connections still takes 0.1 s, and 0.5 s where the cores are
    busy, so it comes a fifth as often.
    """
    sslproto.SSLProtocol.max_size = TLS_BUFFER
    gc.collect()
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], FULL_COLLECTION)
