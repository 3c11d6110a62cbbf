"""From files to growing streams: one encode per picture and model, however many receivers ask.

All state is used on the event loop only.  Opening files, computing pieces and the store run on
threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from diffc_stream.codec.extent import USUAL, Rule
from diffc_stream.errors import RequestRefused
from diffc_stream.session import Code, Rectangle, Region

from ..cache.persister import Persister
from ..cache.store import Store
from ..catalogue.file import File
from ..ops.metrics import SenderMetrics
from ..threads.pools import WorkerPools
from .engine import mark
from .predecessor import Predecessor
from .shared_stream import LOOK_AHEAD, SharedStream
from .slots import MOST_PIXELS, MOST_SLOTS, MOST_WAITING, EncoderSlots
from .source import Describing, Opener, ReferringOpener, is_stream
from .stream_cache import StreamCache
from .stream_file import StreamFiles
from .subscribers import Account

__all__ = ["LOOK_AHEAD", "Account", "Pipeline", "SharedStream", "Whole"]

New = Callable[[], None]

SAVE_GRACE = 2.0
"""Seconds that the store gets for the last saves, when the daemon has drained."""
MOST_HELD = 2**28
"""Bytes of streams in memory; beyond that, unused ones are dropped."""


class Whole(NamedTuple):
    """Which stream of a picture a part of it starts from; the fields are those of Pipeline.of."""

    file: File
    model: str | None
    described: bool
    before: tuple[File, ...]


class Pipeline:
    """Gives out the streams of pictures, and has them computed on worker threads."""

    def __init__(
        self,
        opener: Opener,
        *,
        store: Store | None = None,
        encoders: int = 1,
        queue: int = MOST_WAITING,
        slots: int = MOST_SLOTS,
        pixels: int = MOST_PIXELS,
        held: int = MOST_HELD,
        metrics: SenderMetrics | None = None,
        describing: Describing | None = None,
        engine: str | None = None,
        starts: Rule = USUAL,
    ) -> None:
        """Compute on ``encoders`` threads what ``store`` does not hold.

        Up to ``slots`` pictures, with ``pixels`` pixels together, take turns on the threads, and
        ``queue`` others wait; see :class:`EncoderSlots`.  Up to ``held`` bytes of streams stay in
        memory: unused ones make room for new ones, and if all are in use, a request is refused.
        ``describing``, if given, opens pictures for receivers that want their metadata.  ``engine``
        is the mark of the encoders, by default this process's own (:func:`.engine.mark`).  Streams
        start from as much of others as the rule ``starts`` says.
        """
        self.opener = opener
        self.starts = starts
        """How much of a stream another starts from."""
        self._describing = describing
        self.slots = EncoderSlots(encoders=encoders, slots=slots, pixels=pixels, queue=queue)
        self._store = store
        self._engine = mark() if engine is None else engine
        self._workers = WorkerPools(encoders)
        self.ready = StreamFiles(self._workers)
        """Reads streams that are files already, for requests over HTTP."""
        self._held: StreamCache[SharedStream] = StreamCache(held, self.slots)
        self._metrics = metrics or SenderMetrics()
        self._metrics.waiting = lambda: self.slots.waiting
        if store is not None:
            self._metrics.store_failures = lambda: store.troubles.counts

    def stream(self, path: Path, model: str | None = None) -> SharedStream:
        """Return the stream of the file that is now at a path; see :meth:`of`."""
        return self.of(File.at(path.resolve()), model)

    def of(
        self,
        file: File,
        model: str | None = None,
        *,
        described: bool = False,
        before: tuple[File, ...] = (),
    ) -> SharedStream:
        """Return the stream of a file; all receivers share one.

        A picture is encoded with ``model``; None is the preferred one.  With ``described`` the
        stream carries the picture's metadata, if the sender gives them out.  It starts from the
        stream of the last picture ``before``, which starts from the one before that; the first is
        a key picture.  Raises RequestRefused if too many streams are in use.
        """
        describing = self._describing if described else None
        if is_stream(file.path):
            model, describing, before = None, None, ()
        else:
            model = model or self.opener.fingerprints[0]
        opener = describing or self.opener
        key = (file, model, describing is not None, before)
        stream = self._found(key)
        if stream is None:
            # All that determines the bytes, beside the picture.
            store = None if is_stream(file.path) else self._store
            recipe = model if describing is None else f"{model} {describing.facts}"
            predecessor = None
            if before and isinstance(opener, ReferringOpener):
                recipe = f"{recipe} {self.starts}"
                of = partial(self._before, model, described)
                predecessor = Predecessor(before, of, opener, self._workers, self.starts)
            persister = self._persister(store, file, recipe or "", before)
            stream = self._new(file, model, opener, persister, predecessor)
            self._held.add(key, stream)
        return stream

    def part(self, whole: Whole, region: Region, shown: Rectangle, new: New) -> SharedStream:
        """Return the stream of a part of a picture, which starts from what ``region`` says.

        These are bytes of the stream of the ``whole``, in which the part is ``shown``, in pixels.
        ``new`` is called before a stream is begun that nobody has asked for lately.  It is not
        stored, because there are as many of them as receivers like.  Raises RequestRefused, also
        if no parts can be encoded here.
        """
        file, model, described, before = whole
        opener = self.opener
        if is_stream(file.path) or not isinstance(opener, ReferringOpener):
            message = "there is no picture to encode a part of"
            raise RequestRefused(Code.UNKNOWN_REGION, message)
        key = (file, model, described and self._describing is not None, before, region)
        stream = self._found(key)
        if stream is None:
            new()
            opener = opener.showing(shown)
            of = partial(self._before, model, described)
            chain = (*before, file)
            predecessor = Predecessor(
                chain, of, opener, self._workers, self.starts, size=region.size
            )
            persister = self._persister(None, file, "", ())
            stream = self._new(file, model, opener, persister, predecessor)
            self._held.add(key, stream)
        return stream

    def _found(self, key: Hashable) -> SharedStream | None:
        """Return a stream that is in memory, and has not failed for good."""
        stream = self._held.find(key)
        failed = stream is not None and stream.failure is not None and not stream.failure.retry
        return None if failed else stream

    def _persister(
        self, store: Store | None, file: File, recipe: str, before: tuple[File, ...]
    ) -> Persister:
        return Persister(store, file, recipe, self._workers, self._metrics, before=before)

    def _new(
        self,
        file: File,
        model: str | None,
        opener: Opener,
        persister: Persister,
        before: Predecessor | None,
    ) -> SharedStream:
        return SharedStream(
            file,
            model,
            opener,
            hold=self._held.grow,
            workers=self._workers,
            slots=self.slots,
            persister=persister,
            metrics=self._metrics,
            engine=self._engine,
            before=before,
        )

    def _before(
        self, model: str | None, described: bool, file: File, before: tuple[File, ...]
    ) -> SharedStream:
        return self.of(file, model, described=described, before=before)

    async def prefix(self, shared: SharedStream, length: int) -> str | None:
        """Return the hash of the first ``length`` bytes of a stream; None while there are fewer."""
        return await self._workers.hash(shared.prefix, length)

    async def save(self) -> None:
        """Wait until the running saves are done, SAVE_GRACE seconds at most."""
        saving = [task for stream in self._held if (task := stream.saving)]
        if saving:
            await asyncio.wait(saving, timeout=SAVE_GRACE)

    def close(self) -> None:
        """Stop computing; pieces that are being computed are finished and dropped."""
        for stream in self._held:
            stream.close()
        self.ready.close()
        self.slots.close()
        self._workers.close()
