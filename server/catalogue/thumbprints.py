"""Thumbprints: hashes of files' contents, computed once for each version of a file.

Size and modification time do not prove that a file is unchanged: an uncompressed picture may change
in its middle only, and a program may set both back.  The system's own change time (ctime) moves in
any case.  So a file whose change time differs is read again, as a whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from diffc_stream.opening import open_resolved

from .scan import Version

WHOLE = 2**30
"""Largest file, in bytes, that is read as a whole.  Of a larger one so many bytes are read, half of
them at either end, and its times count in place of the rest."""
UNSETTLED = 2.0
"""Some systems round times, so a file may change twice within so many seconds and keep its times.
A file that was read so soon after a change is *unsettled*, and is read again at the next look."""
WORTH_NOTING = 2**26
"""After so many bytes read, new thumbprints are worth noting in the store."""
MOST_NOTED = 2**26
"""Largest size of the notes, in bytes, uncompressed."""
_BLOCK = 2**18
_FORMAT = 1
_DIGITS = 16


class Memory(Protocol):
    """Keeps notes beyond the life of the process: a store.  Neither method raises if it fails."""

    def recall(self, what: str) -> bytes | None:
        """Return the note last kept under this name; None if there is none."""
        ...

    def note(self, what: str, data: bytes) -> None:
        """Keep a note, replacing the one of that name."""
        ...


class Thumbprints:
    """The thumbprints of the files below a folder, by name and version.

    Use it on one thread at a time; its methods may be slow.
    """

    def __init__(self, folder: Path, memory: Memory | None = None) -> None:
        """Hash files below ``folder``, and note the results in ``memory`` if there is one."""
        self._memory = memory
        self._what = f"thumbprints {platform.node()} {folder}"
        self._known: dict[str, tuple[Version, str]] = {}
        self._unsettled: dict[str, Version] = {}
        self._unnoted = 0
        """Bytes that were read since the last note."""

    def __len__(self) -> int:
        return len(self._known)

    def known(self, name: str, version: Version) -> str | None:
        """Return a file's thumbprint; None if the file has to be read for it."""
        known = self._known.get(name)
        return known[1] if known and known[0] == version and self.settled(name) else None

    def settled(self, name: str) -> bool:
        """Tell whether the same times mean the same content: see ``UNSETTLED``."""
        return name not in self._unsettled

    def take(self, name: str, path: Path, version: Version) -> str:
        """Read a file, at a path with links resolved, and return its thumbprint.

        Raises OSError, which is FileNotFoundError if the file is not in this version any more.
        """
        began = time.time()
        taken = _taken(path, version)
        self._known[name] = version, taken
        self._unsettled.pop(name, None)
        if abs(began - version.changed / 1e9) < UNSETTLED:
            self._unsettled[name] = version
        self._unnoted += min(version.size, WHOLE)
        return taken

    def keep(self, versions: Mapping[str, Version]) -> None:
        """Forget all files except these."""
        for known in (self._known, self._unsettled):
            for name in tuple(known):
                if name not in versions:
                    del known[name]

    def recall(self) -> None:
        """Load what earlier processes noted."""
        data = self._memory.recall(self._what) if self._memory else None
        if data is not None:
            self._known = _parsed(data) | self._known

    def notes(self) -> Callable[[], None] | None:
        """Return a function that writes the notes, on any thread, if there is enough to note."""
        if self._memory is None or self._unnoted < WORTH_NOTING:
            return None
        self._unnoted = 0
        memory, known = self._memory, dict(self._known)
        for name in self._unsettled:
            known.pop(name, None)
        return lambda: memory.note(self._what, _packed(known))


def _taken(path: Path, version: Version) -> str:
    digest = hashlib.sha256(str(version.size).encode())
    with open_resolved(path) as file:
        _check(file.fileno(), path, version)
        if version.size <= WHOLE:
            _read(file.read, digest.update, version.size)
        else:
            digest.update(f" {version.time} {version.changed} ".encode())
            _read(file.read, digest.update, WHOLE // 2)
            file.seek(version.size - WHOLE // 2)
            _read(file.read, digest.update, WHOLE // 2)
        _check(file.fileno(), path, version)
    return digest.hexdigest()[:_DIGITS]


def _read(read: Callable[[int], bytes], update: Callable[[bytes], None], size: int) -> None:
    while size and (block := read(min(_BLOCK, size))):
        update(block)
        size -= len(block)


def _check(descriptor: int, path: Path, version: Version) -> None:
    if Version.of(os.fstat(descriptor)) != version:
        raise FileNotFoundError(f"{path} has just been replaced")


def _packed(known: Mapping[str, tuple[Version, str]]) -> bytes:
    plain = {name: [*version, taken] for name, (version, taken) in known.items()}
    return zlib.compress(json.dumps([_FORMAT, plain]).encode())


def _parsed(data: bytes) -> dict[str, tuple[Version, str]]:
    """Return the thumbprints that :func:`_packed` packed; none if the data make no sense."""
    try:
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(data, MOST_NOTED)
        number, plain = json.loads(text)
        if number != _FORMAT:
            return {}
        return {name: _noted(facts) for name, facts in plain.items()}
    except (zlib.error, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _noted(facts: list[object]) -> tuple[Version, str]:
    """Return one file's version and thumbprint.  Raises ValueError or TypeError."""
    *numbers, taken = facts
    if not all(isinstance(number, int) for number in numbers) or not isinstance(taken, str):
        raise ValueError("a note that is none")
    if len(taken) != _DIGITS or set(taken) - set("0123456789abcdef"):
        raise ValueError("not a thumbprint")
    return Version(*numbers), taken  # type: ignore[arg-type]
