"""A file system of fsspec that is slow, fails, or shows old data, as a test or its seed says.

Registered as ``faulty``: ``faulty://PATH`` is the local folder PATH with what :data:`faults` says.
Processes of their own read the faults from the variable DIFFC_FAULTS.
"""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem


@dataclass(slots=True)
class Faults:
    """What goes wrong."""

    failing: float = 0.0
    """The share of calls that fail before they do anything."""
    unheard: float = 0.0
    """The share of writes that are done and reported as failed."""
    stale: float = 0.0
    """The share of reads that show what was there before the last write."""
    shared: bool = False
    """Objects can be created by several at once."""
    torn: float = 0.0
    """The share of reads that end early or have a flipped bit."""
    seed: int = 0
    wait: Callable[[], None] | None = None
    """Called before each call, to make it slow."""
    before: dict[str, bytes | None] = field(default_factory=dict)
    """What stale reads show."""
    calls: int = 0


faults = Faults()
_chance = random.Random(0)
_lock = threading.Lock()


def inject(**what: Any) -> None:
    """Have these faults happen from now on, and no others."""
    fresh = Faults(**what)
    for name in Faults.__slots__:
        setattr(faults, name, getattr(fresh, name))
    _chance.seed(faults.seed)


def _strikes(share: float) -> bool:
    with _lock:
        return _chance.random() < share


def _call() -> None:
    faults.calls += 1
    if faults.wait is not None:
        faults.wait()
    if _strikes(faults.failing):
        raise RuntimeError("SlowDown: please reduce your request rate")


class FaultyFiles(LocalFileSystem):  # type: ignore[misc]
    """A local folder as seen through a bad network."""

    protocol = "faulty"
    local_file = False
    cachable = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(LocalFileSystem._strip_protocol(str(path).removeprefix("faulty://")))

    def cat_file(self, path: str, start: Any = None, end: Any = None, **_: Any) -> bytes:
        """Return an object's bytes."""
        _call()
        path = self._strip_protocol(path)
        if path in faults.before and _strikes(faults.stale):
            old = faults.before[path]
            if old is None:
                raise FileNotFoundError(path)
            return old
        data = Path(path).read_bytes()
        if data and _strikes(faults.torn):
            place = _chance.randrange(len(data))
            return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :][: place % 2 * 9999]
        return data

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        """Write an object as a whole."""
        _call()
        target = Path(self._strip_protocol(path))
        if faults.stale:
            faults.before[str(target)] = target.read_bytes() if target.exists() else None
        new = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
        new.write_bytes(value)
        if mode == "create" and not faults.shared:
            try:
                os.link(new, target)  # fails if it is there
            finally:
                new.unlink()
        else:
            new.replace(target)
        if _strikes(faults.unheard):
            raise TimeoutError("the answer was lost")

    def rm_file(self, path: str) -> None:
        """Remove an object."""
        _call()
        path = self._strip_protocol(path)
        if faults.stale:
            faults.before[path] = Path(path).read_bytes() if Path(path).exists() else None
        os.unlink(path)  # noqa: PTH108

    def ls(self, path: str, detail: bool = False, **more: Any) -> Any:
        """List a folder."""
        _call()
        return super().ls(path, detail=detail, **more)


fsspec.register_implementation("faulty", FaultyFiles, clobber=True)
if "DIFFC_FAULTS" in os.environ:
    inject(**json.loads(os.environ["DIFFC_FAULTS"]))
