"""Keeps encoded streams, so that no sender that shares the store encodes a picture twice.

A stream's key is a hash of all that determines its bytes: the picture's file, the model and the
version of the format.  The store may hold only a prefix, which an encoder can continue.  If two
senders encode the same picture differently, the stream that was stored first stays, because
receivers may already hold a part of it.  Every object contains the SHA-256 of its key and content,
and is used only if that is right.

No method raises if the place fails: the failure is logged once, and pictures are encoded as if
there were no store.  Everything here blocks, and so runs on worker threads.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import threading
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from diffc_stream.container.grammar import VERSION
from diffc_stream.opening import Identity

from ..catalogue.file import File
from .backend import SUFFIX, Backend, FolderBackend

MOST_BYTES = 2**30
"""Largest size of all objects together; beyond it, the least recently used are removed."""
SHARERS = 8
"""How many processes may write to a store at the same time without exceeding its size."""
RESERVE = 8
"""One part in so many stays free, for what is written between two listings of the backend."""

_MAGIC = b"DFCK\x01"
_DIGEST = 32
_PART, _WHOLE = b"\x00", b"\x01"

logger = logging.getLogger("diffc_server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The stored prefix of a stream."""

    data: bytes
    complete: bool
    """Whether it is the whole stream."""


class Outcome(Enum):
    """The result of an attempt to store."""

    STORED = auto()
    """The store holds these bytes now, or a longer stream that begins with them."""
    REFUSED = auto()
    """It cannot be stored, now or later: another stream has its key, or it is too large."""
    FAILED = auto()
    """The backend cannot be written to at the moment."""


class Store:
    """Keeps streams in a backend, up to a total size."""

    def __init__(self, backend: Backend, *, most_bytes: int = MOST_BYTES) -> None:
        """Keep up to ``most_bytes`` bytes in ``backend``."""
        self._shelf = backend
        self._most_bytes = most_bytes
        self._writing = threading.Lock()
        self._room = 0
        """How many bytes may be written before the backend has to be listed again."""
        self._troubles: dict[str, str] = {}
        self._damaged: set[str] = set()
        """Damaged objects that the log has named, and that have not been written again since."""

    @property
    def where(self) -> str:
        """The place as messages show it, without secrets."""
        return self._shelf.where

    def load(self, key: str) -> Stored | None:
        """Return what is stored of a stream; None if it is not there, or damaged."""
        name = key + SUFFIX
        try:
            data = self._shelf.read(name)
        except OSError as error:
            self._note("read", error)
            return None
        self._note("read", None)
        if data is None:
            return None
        stored = _unpacked(key, data)
        if stored is None:
            self._drop_damaged(name, data)
            return None
        self.touch(key)
        return stored

    def save(self, key: str, stored: Stored) -> Outcome:
        """Store a stream, or a longer part of one that is stored."""
        name, data = key + SUFFIX, _packed(key, stored)
        try:
            with self._writing, self._shelf.locked():
                outcome = self._save(key, name, stored, data)
        except OSError as error:
            self._note("written", error)
            return Outcome.FAILED
        self._note("written", None)
        return outcome

    def miss(self) -> None:
        """Log that the backend did not answer in time."""
        self._note("read", TimeoutError(errno.ETIMEDOUT, "it does not answer"))

    def problem(self) -> str:
        """Return why the store cannot be written to, "" if it can; checks the backend."""
        try:
            self._shelf.check()
        except OSError as error:
            return f"the store cannot be written to: {error.strerror or error}"
        return ""

    def touch(self, key: str) -> None:
        """Note that a stream was used now."""
        # If this fails, the stream is only removed earlier than it should be.
        with contextlib.suppress(OSError):
            self._shelf.touch(key + SUFFIX)

    def drop(self, key: str, stored: Stored) -> None:
        """Delete a stream that no encoder can continue, unless it has been replaced."""
        logger.warning("the store %s deletes %s: it cannot be continued", self.where, key[:16])
        self._remove(key + SUFFIX, _packed(key, stored))

    def recall(self, what: str) -> bytes | None:
        """Return the note last stored under a name; None if there is none."""
        stored = self.load(_note_key(what))
        return None if stored is None else stored.data

    def note(self, what: str, data: bytes) -> None:
        """Store a note, which is any data that is no stream, replacing the one of that name."""
        key = _note_key(what)
        packed = _packed(key, Stored(data=data, complete=True))
        if len(packed) > self._most_bytes // 2:
            return
        try:
            with self._writing, self._shelf.locked():
                self._make_room(key + SUFFIX, len(packed))
                self._shelf.write(key + SUFFIX, packed)
        except OSError as error:
            self._note("written", error)

    def _save(self, key: str, name: str, stored: Stored, data: bytes) -> Outcome:
        there = self._shelf.read(name)
        kept = None if there is None else _unpacked(key, there)
        if kept is not None:
            if kept.data.startswith(stored.data) and kept.complete >= stored.complete:
                return Outcome.STORED
            if not stored.data.startswith(kept.data) or kept.complete:
                logger.warning(
                    "the store %s has another stream for %s, which stays",
                    self.where,
                    key[:16],
                )
                return Outcome.REFUSED
        if len(data) > self._most_bytes // 2:
            logger.warning("%d bytes are too many for the store %s", len(data), self.where)
            return Outcome.REFUSED
        self._make_room(name, len(data))
        self._shelf.write(name, data)
        self._damaged.discard(name)
        return Outcome.STORED

    def _make_room(self, newest: str, size: int) -> None:
        """Remove least recently used objects until ``size`` bytes fit.  Raises OSError."""
        if size <= self._room:
            self._room -= size
            return
        entries = sorted(self._shelf.entries(), key=lambda entry: entry.used)
        # An object that is being replaced counts in both versions.
        total = size + sum(entry.size for entry in entries)
        reserve = self._most_bytes // RESERVE
        for entry in entries:
            if total > self._most_bytes - reserve and entry.name != newest:
                self._shelf.remove(entry.name)
                total -= entry.size
        # Other processes may write before the next listing: each has a share of the reserve.
        self._room = reserve // SHARERS

    def _drop_damaged(self, name: str, damaged: bytes) -> None:
        if name not in self._damaged:
            self._damaged.add(name)
            logger.warning(
                "the store %s has damaged data for %s, which are not used", self.where, name[:16]
            )
        self._remove(name, damaged)

    def _remove(self, name: str, data: bytes) -> None:
        """Remove an object if it has not been replaced."""
        try:
            with self._writing, self._shelf.locked():
                if self._shelf.read(name) == data:
                    self._shelf.remove(name)
        except OSError as error:
            self._note("written", error)

    def _note(self, what: str, error: OSError | None) -> None:
        """Log a new problem with reading or writing, and when it is over."""
        reason = "" if error is None else error.strerror or str(error)
        if reason == self._troubles.get(what, ""):
            return
        self._troubles[what] = reason
        if reason:
            logger.warning("the store %s cannot be %s: %s", self.where, what, reason)
        else:
            logger.warning("the store %s can be %s again", self.where, what)


def open_store(place: str, *, most_bytes: int = MOST_BYTES) -> Store:
    """Open the store at a path, or at a URL that fsspec knows.

    Raises OSError if the place cannot be used, MissingPackage if a package that the URL needs is
    not installed, and AddressError for a URL of an unknown kind.
    """
    return Store(_shelf(place), most_bytes=most_bytes)


def stream_key(file: File, recipe: str) -> str:
    """Return the key of a picture's stream, 64 hex digits; reads the whole file.

    ``recipe`` names all else that determines the stream: the model, and the metadata that it
    carries.  Raises OSError, or RequestRefused if the file has been replaced.
    """
    digest = hashlib.sha256(f"{VERSION} {recipe} ".encode())
    with file.open() as picture:
        digest.update(hashlib.file_digest(picture, "sha256").digest())
        file.check(Identity.opened(picture))
    return digest.hexdigest()


def _note_key(what: str) -> str:
    return hashlib.sha256(f"note {what}".encode(errors="surrogatepass")).hexdigest()


def _shelf(place: str) -> Backend:
    scheme, separator, rest = place.partition("://")
    if not separator:
        return FolderBackend(Path(place))
    if scheme == "file":
        return FolderBackend(Path(rest))
    from .object_store import ObjectStore

    return ObjectStore(place)


def _packed(key: str, stored: Stored) -> bytes:
    content = (_WHOLE if stored.complete else _PART) + stored.data
    return _MAGIC + _digest(key, content) + content


def _unpacked(key: str, data: bytes) -> Stored | None:
    """Return what an object holds; None if it is damaged, or was stored under another key."""
    head = len(_MAGIC) + _DIGEST
    content = data[head:]
    if data[:head] != _MAGIC + _digest(key, content) or content[:1] not in (_PART, _WHOLE):
        return None
    return Stored(data=content[1:], complete=content[:1] == _WHOLE)


def _digest(key: str, content: bytes) -> bytes:
    return hashlib.sha256(key.encode() + content).digest()
