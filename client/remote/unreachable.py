"""Turns a failed connection into an error of one line."""

from __future__ import annotations

import os

from diffc_stream.errors import LinkLost

from .address import Address


def unreachable(sender: Address, error: OSError) -> LinkLost:
    """Return the error for a failed attempt to connect to ``sender``."""
    if isinstance(error, TimeoutError):
        return LinkLost(f"{sender} does not answer")
    return LinkLost(f"{sender} cannot be reached: {_reason(error)}")


def _reason(error: OSError) -> str:
    # asyncio wraps the system's message in its own, and drops it if it tried several addresses.
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error)
