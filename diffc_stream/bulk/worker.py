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
from diffc_stream.container.grammar import STREAM_SUFFIX
from diffc_stream.errors import DestinationError, reason

if TYPE_CHECKING:
    from diffc_stream.bulk.chain import Chain
    from diffc_stream.diffusion.model import Model


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
    key_every: float | None = None
    """Seconds of a camera's period; None if no pictures start from others."""


@dataclass(slots=True)
class _Worker:
    source: Place
    destination: Place
    settings: Settings
    model: Model
    chain: Chain
    """The streams of the period that is being encoded."""
    last: str = ""
    """The last of its pictures."""


_worker: _Worker | None = None
"""This process's own; set by :func:`begin`."""


def begin(job: Job) -> None:
    """Prepare this process for :func:`work`."""
    global _worker  # noqa: PLW0603  (one for each process)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its parent ends it
    threads.limit(1)
    from diffc_stream import codec
    from diffc_stream.bulk.chain import Chain
    from diffc_stream.diffusion.collection import Collection

    codec.prepare()
    model = Collection.at_hand(job.model).preferred
    _worker = _Worker(place(job.source), place(job.destination), job.settings, model, Chain(model))


def work(name: str, done: Done | None, before: tuple[str, ...] = ()) -> Line | None:
    """Encode a picture; return None if ``done`` says that it has been, and its stream is whole.

    It goes back to the pictures ``before``, which this process, or one that died, has encoded.
    What is wrong with one picture is in the line that is returned, and raises nothing.
    """
    assert _worker is not None
    began = time.perf_counter()
    _go_on(_worker, name, before)
    key = _worker.settings.key(_worker.model.fingerprint) + _worker.chain.key
    source = ""
    try:
        data = _worker.source.read(name)
        source = hashlib.sha256(data).hexdigest()
        stream = _read(_worker.destination, name + STREAM_SUFFIX)
        there = None if stream is None else hashlib.sha256(stream).hexdigest()
        if done is not None and stream is not None and done == (source, key, there):
            _worker.chain.add(_beside(name), stream)
            return None
        start = _worker.chain.start()
        encoded = encode(data, _worker.model, _worker.settings, start)
        # Without a line about it, it may be that of a run that was killed, or somebody else's.
        known = there in (None, encoded.sha256, done[2] if done is not None else None)
        if not known:
            raise DestinationError(f"{name}{STREAM_SUFFIX} was not written by diffc bulk: it stays")
        if there != encoded.sha256:
            _worker.destination.write(name + STREAM_SUFFIX, encoded.stream)
        _worker.chain.add(_beside(name), encoded.stream)
    except Exception as error:  # Libraries have their own, and memory may run out.
        _worker.chain.clear()
        return Line(name=name, source=source, settings=key, error=reason(error))
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


def _go_on(worker: _Worker, name: str, before: tuple[str, ...]) -> None:
    """Have the chain of a process end with the last of the pictures ``before``."""
    if not before:
        worker.chain.clear()
    elif worker.last != before[-1]:
        worker.chain.clear()
        for one in before:
            try:
                worker.chain.add(_beside(one), worker.destination.read(one + STREAM_SUFFIX))
            except Exception:  # as above
                worker.chain.clear()
    worker.last = name


def _beside(name: str) -> str:
    """Return the name of a picture's stream in its folder."""
    return name.rpartition("/")[2] + STREAM_SUFFIX


def _read(where: Place, name: str) -> bytes | None:
    try:
        return where.read(name)
    except FileNotFoundError:
        return None
