"""The hash that proves a prefix: if both ends have the same hash, they hold the same bytes."""

from __future__ import annotations

import hashlib
from typing import Self

DIGITS = 16


class PrefixHash:
    """A running hash of a stream's bytes: the first eight bytes of their SHA-256, in hex."""

    def __init__(self, data: bytes = b"") -> None:
        self._sha256 = hashlib.sha256(data)

    def update(self, data: bytes | bytearray) -> None:
        """Take the bytes that follow."""
        self._sha256.update(data)

    def copy(self) -> Self:
        """Return another one that has taken the same bytes."""
        other = type(self)()
        other._sha256 = self._sha256.copy()
        return other

    def __str__(self) -> str:
        return self._sha256.hexdigest()[:DIGITS]
