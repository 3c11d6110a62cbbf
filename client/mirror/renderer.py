"""Renders the streams of a mirror as picture files."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from diffc_stream.allocation import give_back
from diffc_stream.container import Reference
from diffc_stream.errors import DiffcError, MissingReference
from diffc_stream.picture import png_bytes

from ..decoding.decoders import Decoders, Method, Picture, decoder_finding, metadata_of
from ..storage.references import name_beside
from .fair_share import FairShare
from .log_limit import LogLimit
from .owned_folder import OwnedFolder
from .progress import Mirrored
from .transfers import RETRY_DISK, SCARCE

MOST_BEHIND = 10_000
"""Streams for which others wait to be rendered."""

logger = logging.getLogger("diffc_client")


class Renderer:
    """Renders growing streams, one after the other, on a thread of its own.

    A stream that grows again before its turn is rendered once.  Senders have equal shares of the
    time: one whose pictures take long waits longer for its next turn.  Leaving the block drops the
    pictures that still wait.  A foreign file in a picture's place is kept.
    """

    def __init__(
        self,
        decoders: Decoders,
        render: Method = "mmse",
        *,
        on_rendered: Callable[[Mirrored, Picture], object] | None = None,
    ) -> None:
        """Render by ``render``; ``on_rendered`` is told of each, on the renderer's thread."""
        self._decoders = decoders
        self._on_rendered = on_rendered
        self._method: Method = render
        self._complaints = LogLimit(logger)
        self._turns: FairShare[Mirrored] = FairShare()
        self._behind: dict[str, dict[str, Mirrored]] = {}
        """Pictures that start from another, by the other's file: it is not there yet."""
        self._changed = asyncio.Event()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="renderer")

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._worker.shutdown(wait=False, cancel_futures=True)

    def put(self, mirrored: Mirrored, *, sender: str = "") -> None:
        """Queue a picture of ``sender``."""
        self._turns.put(sender, str(mirrored.stream), mirrored)
        self._changed.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while (turn := self._turns.next()) is not None:
                sender, mirrored = turn
                began = loop.time()
                scarce = await loop.run_in_executor(self._worker, self._write, mirrored)
                # Memory that large pictures took is of no use to the next one.
                await loop.run_in_executor(self._worker, give_back)
                self._turns.spent(sender, loop.time() - began)
                for behind in self._behind.pop(str(mirrored.stream), {}).values():
                    self.put(behind, sender=sender)
                if scarce:
                    # The disk is full, which is the same for all other pictures.
                    self.put(mirrored, sender=sender)
                    await asyncio.sleep(RETRY_DISK)
            self._changed.clear()
            await self._changed.wait()

    def _write(self, mirrored: Mirrored) -> bool:
        """Render a picture; return True if the disk is full."""
        owned = mirrored.owned
        assert owned is not None
        stream, picture = map(owned.relative, (mirrored.stream, mirrored.picture))
        beside = _Beside(owned, mirrored.stream)
        try:
            time = owned.confined.stat(stream).st_mtime_ns
            decoder = decoder_finding(self._decoders, beside.find)
            decoder.feed(owned.read(stream))
            if decoder.ready:
                rendered = decoder.render(self._method)
                data = png_bytes(rendered.image, rendered.description, metadata_of(rendered))
                # The stream's time shows a mirror which pictures have been rendered.
                owned.replace(picture, data, time=time)
                if not owned.confined.exists(stream):
                    owned.remove(picture)  # they were deleted meanwhile
                elif self._on_rendered is not None:
                    self._on_rendered(mirrored, rendered)
        except MissingReference as error:
            if beside.missing is None:
                self._complaints.say("pictures", "%s: %s", mirrored.picture, error)
                return False
            # It may be under way: senders offer the newest first.
            logger.info("%s waits for %s", mirrored.picture, error.reference)
            first = str(beside.missing)
            if first in self._behind or len(self._behind) < MOST_BEHIND:
                self._behind.setdefault(first, {})[stream] = mirrored
        except (DiffcError, OSError) as error:
            if isinstance(error, OSError) and error.errno in SCARCE:
                self._complaints.say("the disk", "%s: %s", mirrored.picture, error.strerror, most=1)
                return True
            self._complaints.say("pictures", "%s: %s", mirrored.picture, error)
        except Exception:
            # A bug, which must not stop the mirror: the streams matter more.
            logger.exception("%s cannot be rendered", mirrored.picture)
        return False


class _Beside:
    """Finds what a stream of a mirror starts from: the beginning of a stream beside it."""

    def __init__(self, owned: OwnedFolder, stream: Path) -> None:
        self.missing: Path | None = None
        """The file that is not there, or not as far as it is needed."""
        self._owned = owned
        self._stream = stream

    def find(self, reference: Reference) -> bytes | None:
        """Return the bytes that a reference names, or None.  Raises MissingReference."""
        path = self._stream.with_name(name_beside(self._stream.name, reference, files=True))
        try:
            data = self._owned.read(self._owned.relative(path), reference.size)
        except OSError:
            data = b""
        if reference.matches(data):
            return data
        self.missing = path
        return None
