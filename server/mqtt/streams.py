"""The streams of a catalogue's pictures, as far as they are published."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from diffc_stream.codec.extent import STEP
from diffc_stream.codec.extent import Extent as Start
from diffc_stream.container import Header
from diffc_stream.container.grammar import MOST_HEADER, STREAM_SUFFIX
from diffc_stream.errors import RequestRefused
from diffc_stream.session import MAX_STREAM, Entry
from diffc_stream.transport.mqtt_topics import Beginning, Item

from ..catalogue.catalogue import Catalogue
from ..catalogue.file import File
from ..encoding.pipeline import Pipeline, SharedStream
from .options import Extent


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A stream, as far as it is published."""

    name: str
    """Of its picture."""
    data: bytes
    start: Beginning | None
    """What it starts from, if it starts from another picture's stream."""
    beginning: Beginning | None
    """What others may start from."""
    before: tuple[File, ...] = ()
    """The pictures that it may go back to, the key picture first."""

    def item(self, entry: Entry, source: str, piece: int) -> Item:
        """Return what is published of it; for ``source`` see :class:`Item`."""
        return Item(
            name=self.name,
            time=entry.time,
            size=len(self.data),
            sha256=hashlib.sha256(self.data).hexdigest(),
            piece=piece,
            source=source,
            start=self.start,
            beginning=self.beginning,
        )


class Streams:
    """Has the streams encoded, and reads them."""

    def __init__(self, catalogue: Catalogue, pipeline: Pipeline, extent: Extent) -> None:
        """Read as much of each stream as ``extent`` says."""
        self._catalogue = catalogue
        self._pipeline = pipeline
        self._extent = extent

    def source(self, entry: Entry) -> str:
        """Return a hash of all that the messages of a picture depend on, but what it starts from.

        So what has been published once stays, whatever happens to the pictures before it.
        """
        extent = self._extent
        made: tuple[object, ...] = self._pipeline.opener.fingerprints[:1]
        made = (*made, extent.bytes, extent.piece)
        if extent.psnr is not None:
            made = (*made, extent.psnr)
        return hashlib.sha256(f"{entry.thumbprint} {made}".encode()).hexdigest()[:16]

    async def before(self, name: str) -> tuple[File, ...]:
        """Return the pictures that a picture's stream may go back to, the key picture first.

        There are none if that cannot be told at the moment.
        """
        if not self._catalogue.ordered:
            return ()
        try:
            return await asyncio.to_thread(
                lambda: self._catalogue.before(name, self._catalogue.file(name))
            )
        except RequestRefused:
            return ()

    async def read(self, name: str, before: tuple[File, ...] = ()) -> Stream:
        """Return the stream of a picture, which may start from others.  Raises RequestRefused."""
        file = await asyncio.to_thread(self._catalogue.file, name)
        with self._using(file, before) as shared:
            if self._extent.psnr is None:
                await shared.reach(self._most)
            else:
                await self._reach_quality(shared, self._extent.psnr)
            data = shared.read(0, self._most)
            complete = shared.complete and len(data) == len(shared)
            good = self._extent.psnr and shared.curve.reaching(self._extent.psnr)
        beginning = None
        if self._catalogue.ordered:
            beginning = await asyncio.to_thread(self._beginning, name, data, complete=complete)
        if good:
            # No more than is good enough, unless others start from it.
            data = data[: max(good, beginning.size if beginning is not None else 0)]
        return Stream(
            name=name, data=data, start=_start(name, data), beginning=beginning, before=before
        )

    async def files(self, stream: Stream) -> list[bytes]:
        """Return the beginnings of streams that a stream goes back to.  Raises RequestRefused."""
        files: list[bytes] = []
        data, before = stream.data, stream.before
        while before and (start := _start(stream.name, data)) is not None:
            with self._using(before[-1], before[:-1]) as shared:
                await shared.reach(start.size)
                data = shared.read(0, start.size)
            files.append(data)
            before = before[:-1]
        return files

    @property
    def _most(self) -> int:
        return self._extent.bytes or MAX_STREAM

    @contextmanager
    def _using(self, file: File, before: tuple[File, ...]) -> Iterator[SharedStream]:
        """Have a stream stay.  Raises RequestRefused."""
        shared = self._pipeline.of(file, described=True, before=before)

        def awoken() -> None:
            """Do nothing: reach() waits."""

        shared.join(awoken)
        try:
            yield shared
        finally:
            shared.leave(awoken)

    async def _reach_quality(self, shared: SharedStream, psnr: float) -> None:
        """Wait for as much of a stream as is good enough, and as others start from."""
        start, size = Start(self._pipeline.starts), 0
        while size < self._most:
            size = min(size + STEP, self._most)
            await shared.reach(size)
            whole = shared.complete and len(shared) <= size
            if self._catalogue.ordered:
                data = shared.read(start.looked, size)
                await asyncio.to_thread(start.look, data, complete=whole)
            found = start.size is not None or not self._catalogue.ordered
            if whole or (found and shared.curve.reaching(psnr) is not None):
                return

    def _beginning(self, name: str, data: bytes, *, complete: bool) -> Beginning | None:
        """Return what others may start from; None if less than that is published."""
        start = Start(self._pipeline.starts)
        start.look(data, complete=complete)
        return None if start.size is None else Beginning.of(name, data[: start.size])


def name_of(file: File, name: str) -> str:
    """Return the name of the picture in a file that is in the folder of the picture ``name``."""
    folder, slash, _ = name.rpartition("/")
    return f"{folder}{slash}{file.path.name}"


def _start(name: str, data: bytes) -> Beginning | None:
    """Return what a stream starts from, by the name of its picture."""
    header = Header.at(data[:MOST_HEADER])
    if header is None or header.reference is None:
        return None
    said = header.reference
    folder, slash, _ = name.rpartition("/")
    stem = said.name.removesuffix(STREAM_SUFFIX)
    return Beginning(f"{folder}{slash}{stem}", said.size, said.digest.hex())
