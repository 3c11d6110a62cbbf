"""Renders the streams of a mirror as picture files."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from diffc_stream.allocation import give_back
from diffc_stream.errors import DiffcError
from diffc_stream.picture import png_bytes

from ..decoding.decoders import Decoders, Method, Picture, metadata_of
from .fair_share import FairShare
from .log_limit import LogLimit
from .progress import Mirrored
from .transfers import RETRY_DISK, SCARCE

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
        try:
            time = owned.confined.stat(stream).st_mtime_ns
            decoder = self._decoders.new()
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
        except (DiffcError, OSError) as error:
            if isinstance(error, OSError) and error.errno in SCARCE:
                self._complaints.say("the disk", "%s: %s", mirrored.picture, error.strerror, most=1)
                return True
            self._complaints.say("pictures", "%s: %s", mirrored.picture, error)
        except Exception:
            # A bug, which must not stop the mirror: the streams matter more.
            logger.exception("%s cannot be rendered", mirrored.picture)
        return False
