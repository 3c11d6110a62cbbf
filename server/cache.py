"""Streams that were computed once, kept on disk: a sender that is restarted need not begin anew.

The key is what the bytes follow from: the picture's file, byte for byte, the model, and the
version of the grammar.  What is kept is a prefix, from which the encoder goes on.  Everything here
runs on worker threads.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from diffc_stream.container import StreamReader
from diffc_stream.container.grammar import VERSION
from diffc_stream.errors import PrefixMismatch, StreamError
from diffc_stream.eviction import evict
from diffc_stream.replacement import replacing

from .encoding import STREAM_SUFFIX, Opener, Source, is_stream

WHOLE_SUFFIX = ".whole" + STREAM_SUFFIX
"""Of streams that reached their end: for those no encoder is needed any more."""
SAVE_EVERY = 1024
"""Bytes; a stream is saved when it has so many more than before, and at its end.  Steps of that
size take a third of a second to compute, and what is not saved is lost with the process."""
MOST_BYTES = 2**30
"""Of all streams kept; beyond that the ones that were not used for longest go."""

logger = logging.getLogger("diffc_server")


class CachingOpener:
    """Opens pictures as another opener does, but computes only what is not on disk already."""

    def __init__(self, opener: Opener, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
        """Keep streams in ``folder``, which is made.  Raises OSError if it cannot be used."""
        folder.mkdir(parents=True, exist_ok=True)
        for torn in folder.glob(".*.part"):  # of a sender that was killed while it wrote
            torn.unlink(missing_ok=True)
        self._opener = opener
        self._folder = folder
        self._most_bytes = most_bytes

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Fingerprints of the models that pictures can be encoded with, the preferred one first."""
        return self._opener.fingerprints

    def open(self, path: Path, model: str | None = None, prefix: bytes = b"") -> Source:
        """Open a file."""
        if is_stream(path):
            return self._opener.open(path, model, prefix)
        model = model or self.fingerprints[0]
        kept = self._folder / f"{_key(path, model)}{STREAM_SUFFIX}"
        whole = _load(kept.with_suffix(WHOLE_SUFFIX))
        if whole.intact and whole.pixels is not None and whole.data.startswith(prefix):
            rest = whole.data[len(prefix) :]
            return Source(pixels=whole.pixels, model=model, pieces=iter([rest]))
        stored = _load(kept).data
        if len(stored) > len(prefix) and stored.startswith(prefix):
            try:
                source = self._opener.open(path, model, stored)
            except PrefixMismatch as error:
                logger.warning("dropping %s: %s", kept.name, error)
                kept.unlink(missing_ok=True)
            else:
                pieces = self._saved(source.pieces, kept, stored, saved=len(stored))
                return replace(source, pieces=chain([stored[len(prefix) :]], pieces))
        source = self._opener.open(path, model, prefix)
        return replace(source, pieces=self._saved(source.pieces, kept, prefix))

    def _saved(
        self, pieces: Iterator[bytes], kept: Path, prefix: bytes, *, saved: int = 0
    ) -> Iterator[bytes]:
        """Pass ``pieces`` on, saving ``prefix`` and what has passed when it is worth it."""
        data = bytearray(prefix)
        try:
            for piece in pieces:
                data += piece
                if len(data) >= saved + SAVE_EVERY:
                    self._save(kept, data)
                    saved = len(data)
                yield piece
        except PrefixMismatch:
            # Too late for who has received some of it; the next one gets what is encoded anew.
            kept.unlink(missing_ok=True)
            raise
        kept.unlink(missing_ok=True)
        self._save(kept.with_suffix(WHOLE_SUFFIX), data)

    def _save(self, kept: Path, data: bytearray) -> None:
        try:
            new = not kept.exists()
            with replacing(kept) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if new:  # others need not make way for what was there
                evict(self._folder, STREAM_SUFFIX, self._most_bytes, spare=kept)
        except OSError as error:
            logger.warning("cannot cache in %s: %s", self._folder, error.strerror)


def _key(path: Path, model: str) -> str:
    digest = hashlib.sha256(f"{VERSION} {model}".encode())
    with contextlib.suppress(OSError), path.open("rb") as file:
        hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What is kept in a file, as far as its checks vouch for it."""

    data: bytes = b""
    pixels: int | None = None
    """None if there is not even a header."""
    intact: bool = False
    """The file ends with a check, and all are good."""


def _load(kept: Path) -> _Found:
    reader = StreamReader()
    intact = False
    try:
        data = kept.read_bytes()
        os.utime(kept)
        for _ in reader.feed(data):
            pass
        intact = reader.verified == len(data)
    except OSError:
        return _Found()
    except StreamError:
        data = data[: reader.verified]
    if reader.header is None:
        return _Found()
    pixels = reader.header.width * reader.header.height
    return _Found(data=data, pixels=pixels, intact=intact)
