"""The content of a file, as its size and a digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

DIGITS = 32

COMPARE, ASK = "compare", "ask"
"""In place of a digest, for files of earlier versions of this program, which noted none.  A COMPARE
file counts as ours once the sender's stream has begun with the same bytes.  An ASK file, which
still has its noted length, counts as ours once the sender has confirmed its hash."""


@dataclass(frozen=True, slots=True)
class Content:
    """The size and digest of a file."""

    size: int
    digest: str
    """See :func:`digest_of`; or COMPARE or ASK."""

    @classmethod
    def of(cls, data: bytes) -> Content:
        """Return the content of a file with the bytes ``data``."""
        return cls(len(data), digest_of(hashlib.sha256(data)))

    @property
    def proven(self) -> bool:
        """Whether the digest is known, so that the file can be proven to be ours."""
        return self.digest not in (COMPARE, ASK)


Known = tuple[Content, Content | None]
"""A file's content, and the earlier one that it still has if the last write did not happen."""


def digest_of(running: hashlib._Hash) -> str:
    """Return the first 128 bits of a SHA-256, in hex."""
    return running.hexdigest()[:DIGITS]


EMPTY = Content.of(b"")
