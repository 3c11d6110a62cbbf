"""The key of a picture's stream: a hash of all that determines its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

from diffc_stream.container.grammar import VERSION
from diffc_stream.opening import Identity

from ..catalogue.file import File

MOST_CONTENTS = 10_000
"""Pictures that others go back to, the hashes of whose files are remembered."""


def stream_key(file: File, recipe: str, before: Sequence[File] = ()) -> str:
    """Return the key of a picture's stream, 64 hex digits; reads the whole file.

    ``recipe`` names all else that determines the stream: the model, and the metadata that it
    carries; ``before`` are the pictures that it goes back to.  Raises OSError, or RequestRefused
    if a file has been replaced.
    """
    digest = hashlib.sha256(f"{VERSION} {recipe} ".encode())
    for earlier in before:
        digest.update(f"{earlier.path.name}/".encode(errors="surrogatepass"))
        digest.update(_content(earlier))
    with file.open() as picture:
        digest.update(hashlib.file_digest(picture, "sha256").digest())
        file.check(Identity.opened(picture))
    return digest.hexdigest()


@lru_cache(maxsize=MOST_CONTENTS)
def _content(file: File) -> bytes:
    """Return the hash of a file's content, which is remembered."""
    with file.open() as picture:
        digest = hashlib.file_digest(picture, "sha256").digest()
        file.check(Identity.opened(picture))
    return digest
