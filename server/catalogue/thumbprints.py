"""What stands for the contents of files: a hash of all there is in each, taken once a version.

A picture without compression may change in its middle only, and whoever changes it may put size and
time back as they were; the moment that the system itself notes, of the last change of whatever
kind, moves all the same.  So what is read anew are files that have another one, and wholly.
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
"""Bytes of which all are read.  Of a larger file so many are, half of them at either end, and its
times count in place of the rest."""
UNSETTLED = 2.0
"""Seconds within which a file may change twice without its times telling, as some systems round
them; what was read so soon is read again at the next look."""
WORTH_NOTING = 2**26
"""Bytes to read after which what stands for them is worth being noted."""
MOST_NOTED = 2**26
"""Bytes of notes, unpacked."""
_BLOCK = 2**18
_FORMAT = 1
_DIGITS = 16


class Memory(Protocol):
    """Where notes outlive the process: a store.  Neither method raises for what happens there."""

    def recall(self, what: str) -> bytes | None:
        """Return what was noted last under this name; None if nothing is known of it."""
        ...

    def note(self, what: str, data: bytes) -> None:
        """Keep this instead."""
        ...


class Thumbprints:
    """The thumbprints of the files below a folder, by name and version.

    Used on one thread at a time; whatever it does may take long.
    """

    def __init__(self, folder: Path, memory: Memory | None = None) -> None:
        """Take those of files below ``folder``, and remember them in ``memory`` if there is one."""
        self._memory = memory
        self._what = f"thumbprints {platform.node()} {folder}"
        self._known: dict[str, tuple[Version, str]] = {}
        self._unsettled: dict[str, Version] = {}
        self._unnoted = 0
        """Bytes that were read since something was noted."""

    def __len__(self) -> int:
        return len(self._known)

    def known(self, name: str, version: Version) -> str | None:
        """Return that of a file as it is; None if it has to be read."""
        known = self._known.get(name)
        return known[1] if known and known[0] == version and self.settled(name) else None

    def settled(self, name: str) -> bool:
        """Tell whether a file that has the same times is the same."""
        return name not in self._unsettled

    def take(self, name: str, path: Path, version: Version) -> str:
        """Read a file, at a path without links.

        Raises OSError, FileNotFoundError if another version is there by now.
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
        """Forget what was remembered of all files but these."""
        for known in (self._known, self._unsettled):
            for name in tuple(known):
                if name not in versions:
                    del known[name]

    def recall(self) -> None:
        """Know what was noted by whoever was here before."""
        data = self._memory.recall(self._what) if self._memory else None
        if data is not None:
            self._known = _parsed(data) | self._known

    def notes(self) -> Callable[[], None] | None:
        """Return what notes all that is known, on any thread, if that is worth it by now."""
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
    """Return what was packed; nothing if it is of no use."""
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
    """Raises ValueError or TypeError."""
    *numbers, taken = facts
    if not all(isinstance(number, int) for number in numbers) or not isinstance(taken, str):
        raise ValueError("a note that is none")
    if len(taken) != _DIGITS or set(taken) - set("0123456789abcdef"):
        raise ValueError("not a thumbprint")
    return Version(*numbers), taken  # type: ignore[arg-type]
