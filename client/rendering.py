"""Pictures of the streams that a mirror keeps, for those who want to look at them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from diffc_stream.errors import DiffcError
from diffc_stream.picture import save_png
from diffc_stream.replacement import sweep

from .decoding import Decoders, Method
from .mirror import Mirrored

logger = logging.getLogger("diffc_client")


class Renderer:
    """Renders files that grow, one after the other, on a thread of its own.

    One that has grown again before its turn is rendered once, as it is then.  Left with those that
    still wait unrendered.
    """

    def __init__(self, decoders: Decoders, render: Method = "mmse") -> None:
        self._decoders = decoders
        self._method: Method = render
        self._waiting: dict[str, Mirrored] = {}
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

    def put(self, mirrored: Mirrored) -> None:
        """Have a picture rendered when its turn comes."""
        self._waiting.setdefault(str(mirrored.stream), mirrored)
        self._changed.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while self._waiting:
                mirrored = self._waiting.pop(next(iter(self._waiting)))
                await loop.run_in_executor(self._worker, self._write, mirrored)
            self._changed.clear()
            await self._changed.wait()

    def _write(self, mirrored: Mirrored) -> None:
        try:
            time = mirrored.stream.stat().st_mtime_ns
            decoder = self._decoders.new()
            decoder.feed(mirrored.stream.read_bytes())
            if decoder.ready:
                rendered = decoder.render(self._method)
                sweep(mirrored.picture)
                save_png(mirrored.picture, rendered.image, text=rendered.description)
                # The stream's time, for a mirror to tell what is still to be rendered.
                os.utime(mirrored.picture, ns=(time, time))
                if not mirrored.stream.exists():
                    mirrored.picture.unlink(missing_ok=True)  # they were deleted meanwhile
        except (DiffcError, OSError) as error:
            logger.warning("%s: %s", mirrored.picture, error)
        except Exception:
            # The streams are what matters.
            logger.exception("%s cannot be rendered", mirrored.picture)
