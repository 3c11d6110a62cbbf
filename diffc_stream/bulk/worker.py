"""A process that encodes pictures: it loads the model once, and computes on one thread."""

from __future__ import annotations

import hashlib
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diffc_stream import threads
from diffc_stream.bulk.encoding import Settings, encode
from diffc_stream.bulk.manifest import Line
from diffc_stream.bulk.places import Place, place
from diffc_stream.errors import DestinationError, DiffcError, one_line

if TYPE_CHECKING:
    from diffc_stream.diffusion.model import Model

SUFFIX = ".dfc"

Done = tuple[str, str, str]
"""The hash of a picture's file, the settings and the hash of its stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What all workers do."""

    source: str
    destination: str
    settings: Settings
    model: Path | None
    """A model file beside those at hand."""


@dataclass(slots=True)
class _Worker:
    source: Place
    destination: Place
    settings: Settings
    model: Model


_worker: _Worker | None = None
"""This process's own; set by :func:`begin`."""


def begin(job: Job) -> None:
    """Prepare this process for :func:`work`."""
    global _worker  # noqa: PLW0603  (one for each process)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its parent ends it
    threads.limit(1)
    from diffc_stream import codec
    from diffc_stream.diffusion.collection import Collection

    codec.prepare()
    _worker = _Worker(
        place(job.source),
        place(job.destination),
        job.settings,
        Collection.at_hand(job.model).preferred,
    )


def work(name: str, done: Done | None) -> Line | None:
    """Encode a picture; return None if ``done`` says that it has been, and its stream is whole.

    What is wrong with one picture is in the line that is returned, and raises nothing.
    """
    assert _worker is not None
    began = time.perf_counter()
    key = _worker.settings.key(_worker.model.fingerprint)
    source = ""
    try:
        data = _worker.source.read(name)
        source = hashlib.sha256(data).hexdigest()
        there = _hash(_worker.destination, name + SUFFIX)
        if done is not None and there is not None and done == (source, key, there):
            return None
        encoded = encode(data, _worker.model, _worker.settings)
        # Without a line about it, it may be that of a run that was killed, or somebody else's.
        known = there in (None, encoded.sha256, done[2] if done is not None else None)
        if not known:
            raise DestinationError(f"{name}{SUFFIX} was not written by diffc bulk: it stays")
        if there != encoded.sha256:
            _worker.destination.write(name + SUFFIX, encoded.stream)
    except (DiffcError, OSError) as error:
        wrong = one_line(error) if isinstance(error, OSError) else str(error)
        return Line(name=name, source=source, settings=key, error=wrong)
    return Line(
        name=name,
        source=source,
        settings=key,
        sha256=encoded.sha256,
        bytes=len(encoded.stream),
        pixels=encoded.width * encoded.height,
        psnr=encoded.psnr,
        seconds=round(time.perf_counter() - began, 3),
    )


def _hash(where: Place, name: str) -> str | None:
    try:
        return hashlib.sha256(where.read(name)).hexdigest()
    except FileNotFoundError:
        return None
