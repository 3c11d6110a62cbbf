"""What a file holds, told by its size and a digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

DIGITS = 32

COMPARE, ASK = "compare", "ask"
"""Instead of a digest, of files of versions that noted none: they are ours when the sender's stream
turns out to begin with the same bytes; or, where it was noted how long it was and it still is, when
the sender agrees."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds."""

    size: int
    digest: str
    """Of its bytes, see :func:`digest_of`; or COMPARE or ASK."""

    @classmethod
    def of(cls, data: bytes) -> Content:
        """Return what a file holds that holds ``data``."""
        return cls(len(data), digest_of(hashlib.sha256(data)))

    @property
    def proven(self) -> bool:
        """It was written here."""
        return self.digest not in (COMPARE, ASK)


Known = tuple[Content, Content | None]
"""What a file holds, or held before, if it was not written to in the end."""


def digest_of(running: hashlib._Hash) -> str:
    """Return the digest of what a SHA-256 was fed with: 128 bits in hex."""
    return running.hexdigest()[:DIGITS]


EMPTY = Content.of(b"")
