"""Keeps encoded streams, so that no sender that shares the store encodes a picture twice.

A stream's key is a hash of all that determines its bytes: the picture's file, the model and the
version of the format.  The store may hold only a prefix, which an encoder can continue.  If two
senders encode the same picture differently, the stream that was stored first stays, because
receivers may already hold a part of it.  Every object contains the SHA-256 of its key and content,
and is used only if that is right.

No method raises if the place fails: the failure is counted and logged, once a minute, and pictures
are encoded as if there were no store.  Everything here blocks, and so runs on worker threads.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from .backend import SUFFIX, Backend, FolderBackend
from .lease import Lease, NoLease
from .troubles import Troubles

MOST_BYTES = 2**30
"""Largest size of all objects together; beyond it, the least recently used are removed."""
SHARERS = 8
"""How many processes may write to a store at the same time without exceeding its size."""
RESERVE = 8
"""One part in so many stays free, for what is written between two listings of the backend."""

_MAGIC = b"DFCK\x01"
_DIGEST = 32
_COMPLETE, _MADE = 1, 2
"""Bits of the byte before a stream: that it is whole, and that its maker is between the two."""
MAKER = 16
"""Hex digits of a maker."""
MOST_OWED = 1000
"""How many streams are remembered that the place could not take."""

logger = logging.getLogger("diffc_server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The stored prefix of a stream."""

    data: bytes
    complete: bool
    """Whether it is the whole stream."""
    maker: str = field(default="", compare=False)
    """Which encoders have made it, as MAKER hex digits (see :mod:`server.encoding.engine`); empty
    of notes, and of streams that older versions have stored."""


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

    def __init__(
        self,
        backend: Backend,
        *,
        most_bytes: int = MOST_BYTES,
        front: Store | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep up to ``most_bytes`` bytes in ``backend``.

        ``front``, if given, is a nearer store that keeps a copy of what is loaded and saved here:
        whole streams are loaded from there alone.  ``clock`` returns seconds.
        """
        self._shelf = backend
        self._front = front
        self._owed: dict[str, None] = {}
        """Keys of what is in the front and could not be saved here."""
        self.troubles = Troubles(lambda: self.where, clock)
        """What has gone wrong."""
        self._most_bytes = most_bytes
        self._writing = threading.Lock()
        self._room = 0
        """How many bytes may be written before the backend has to be listed again."""
        self._damaged: set[str] = set()
        """Damaged objects that the log has named, and that have not been written again since."""

    @property
    def where(self) -> str:
        """The place as messages show it, without secrets."""
        return self._shelf.where

    def load(self, key: str) -> Stored | None:
        """Return what is stored of a stream; None if it is not there, or damaged."""
        if self._front is None:
            return self._load(key)
        near = self._front.load(key)
        if near is not None and near.complete:
            return near
        far = self._load(key)
        if far is None:
            return near
        if near is not None:
            if near.data.startswith(far.data) and not far.complete:
                return near
            if not far.data.startswith(near.data):
                self._front.drop(key, near)  # what all senders share comes first
        self._front.save(key, far)
        return far

    def save(self, key: str, stored: Stored) -> Outcome:
        """Store a stream, or a longer part of one that is stored."""
        if self._front is None:
            return self._keep(key, stored)
        self._front.save(key, stored)
        outcome = self._keep(key, stored)
        self._owed.pop(key, None)
        if outcome is Outcome.FAILED and len(self._owed) < MOST_OWED:
            self._owed[key] = None
        elif outcome is Outcome.STORED and self._owed:
            self._pay(self._front)
        return outcome

    def claim(self, key: str) -> Lease | None:
        """Return the right to encode a picture; None if another sender has it.

        If the place does not say, this sender encodes, and others may do so, too.
        """
        if self.troubles.resting:
            return NoLease()
        try:
            lease = self._shelf.claim(key)
        except OSError as error:
            self.troubles.note("leased", error)
            return NoLease()
        self.troubles.note("leased", None)
        return lease

    def claimed(self, key: str) -> bool:
        """Tell whether another sender has the right to encode a picture."""
        if self.troubles.resting:
            return False
        try:
            return self._shelf.claimed(key)
        except OSError as error:
            self.troubles.note("leased", error)
            return False

    def renew(self, lease: Lease) -> bool:
        """Keep a lease; return False if others may have it by now."""
        try:
            return lease.renew()
        except OSError as error:
            self.troubles.note("leased", error)
            return True

    def release(self, lease: Lease) -> None:
        """Give a lease back."""
        try:
            lease.release()
        except OSError as error:
            self.troubles.note("leased", error)

    def miss(self, what: str = "read") -> None:
        """Note that the backend did not answer in time; leave it alone for a while."""
        self.troubles.note(what, TimeoutError(errno.ETIMEDOUT, "it does not answer"))
        self.troubles.rest()

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
        if self._front is not None:
            self._front.drop(key, stored)
        logger.warning("the store %s deletes %s: it cannot be continued", self.where, key[:16])
        self._remove(key + SUFFIX, _packed(key, stored))

    def recall(self, what: str) -> bytes | None:
        """Return the note last stored under a name; None if there is none."""
        stored = self._load(_note_key(what))
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
            self.troubles.note("written", error)

    def _load(self, key: str) -> Stored | None:
        if self.troubles.resting:
            return None
        name = key + SUFFIX
        try:
            data = self._shelf.read(name)
        except OSError as error:
            self.troubles.note("read", error)
            return None
        self.troubles.note("read", None)
        if data is None:
            return None
        stored = _unpacked(key, data)
        if stored is None:
            self._drop_damaged(name, data)
            return None
        self.touch(key)
        return stored

    def _keep(self, key: str, stored: Stored) -> Outcome:
        if self.troubles.resting:
            return Outcome.FAILED
        name, data = key + SUFFIX, _packed(key, stored)
        try:
            with self._writing, self._shelf.locked():
                outcome = self._save(key, name, stored, data)
        except OSError as error:
            self.troubles.note("written", error)
            return Outcome.FAILED
        self.troubles.note("written", None)
        return outcome

    def _pay(self, front: Store) -> None:
        """Save one of the streams that could not be saved before."""
        key = next(iter(self._owed))
        owed = front.load(key)
        if owed is None or self._keep(key, owed) is not Outcome.FAILED:
            del self._owed[key]

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
            self.troubles.note("written", error)


def open_store(place: str, *, most_bytes: int = MOST_BYTES, cache: Path | None = None) -> Store:
    """Open the store at a path, or at a URL that fsspec knows.

    ``cache``, if given, is a folder for a copy of what is loaded and saved, of the same size.

    Raises OSError if the place cannot be used, MissingPackage if a package that the URL needs is
    not installed, and AddressError for a URL of an unknown kind.
    """
    front = None if cache is None else Store(FolderBackend(cache), most_bytes=most_bytes)
    return Store(_shelf(place), most_bytes=most_bytes, front=front)


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
    made = bytes.fromhex(stored.maker)
    bits = (_COMPLETE if stored.complete else 0) | (_MADE if made else 0)
    content = bytes([bits]) + made + stored.data
    return _MAGIC + _digest(key, content) + content


def _unpacked(key: str, data: bytes) -> Stored | None:
    """Return what an object holds; None if it is damaged, or was stored under another key."""
    head = len(_MAGIC) + _DIGEST
    content = data[head:]
    if data[:head] != _MAGIC + _digest(key, content) or not content:
        return None
    bits, made = content[0], 0
    if bits & _MADE:
        made = MAKER // 2
    if bits > _COMPLETE | _MADE or len(content) < 1 + made:
        return None
    return Stored(
        data=content[1 + made :],
        complete=bool(bits & _COMPLETE),
        maker=content[1 : 1 + made].hex(),
    )


def _digest(key: str, content: bytes) -> bytes:
    return hashlib.sha256(key.encode() + content).digest()
