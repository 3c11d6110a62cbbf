"""The same for scripts, without ``await``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import Self

from diffc_stream.errors import AddressError

from .address import Address
from .decoding import Decoders, Method
from .refiner import Refinement
from .sender import connect


def stream(
    url: str,
    *,
    bytes: int | None = None,  # noqa: A002
    bpp: float | None = None,
    side: int | None = None,
    psnr: float | None = None,
    render: Method = "mmse",
    decoders: Decoders | None = None,
    patience: float | None = 60.0,
) -> Iterator[Refinement]:
    """Stream the picture at ``url``, ``ws://HOST[:PORT]/IMAGE``: iterate to get it, ever better.

    ``http://HOST/IMAGE.dfc`` is a stream that lies on any web server.

    The network and the mathematics run on threads of their own and never wait for the loop's
    body; a body that is slow gets the newest picture next.  Parameters and errors are those of
    :func:`connect` and :meth:`Sender.open`; leaving the loop stops the stream.

    >>> for refinement in stream("ws://localhost:8765/coffee.jpg", bpp=0.4):
    ...     print(refinement.bytes, refinement.predicted_psnr)
    """
    image = Address.parse(url).image
    if image is None:
        raise AddressError(f"{url!r} names no picture: it should be ws://HOST:PORT/IMAGE")

    async def refinements() -> AsyncGenerator[Refinement, None]:
        async with (
            connect(url, decoders=decoders, patience=patience) as sender,
            aclosing(
                sender.open(image, bytes=bytes, bpp=bpp, side=side, psnr=psnr, render=render)
            ) as opened,
        ):
            async for refinement in opened:
                yield refinement

    with _Background(refinements()) as background:
        while (refinement := background.newest()) is not None:
            yield refinement


class _Background:
    """Runs through refinements on a thread with an event loop, keeping the newest one."""

    def __init__(self, refinements: AsyncGenerator[Refinement, None]) -> None:
        self._refinements = refinements
        self._changed = threading.Condition()
        self._newest: Refinement | None = None
        self._finished = False
        self._failure: BaseException | None = None
        self._stop: Callable[[], object] | None = None
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._follow()), name="diffc-client", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._stop is not None)
            if not self._finished and self._stop is not None:
                self._stop()
        self._thread.join()

    def newest(self) -> Refinement | None:
        """Wait for a refinement not seen before; None after the last.  Raises what went wrong."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._finished)
            refinement, self._newest = self._newest, None
            if refinement is None and self._failure is not None:
                raise self._failure
            return refinement

    async def _follow(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._change(stop=lambda: loop.call_soon_threadsafe(task.cancel))
        failure: BaseException | None = None
        try:
            async with aclosing(self._refinements) as refinements:
                async for refinement in refinements:
                    self._change(newest=refinement)
        except BaseException as error:
            failure = error
        self._change(finished=True, failure=failure)

    def _change(
        self,
        *,
        stop: Callable[[], object] | None = None,
        newest: Refinement | None = None,
        finished: bool = False,
        failure: BaseException | None = None,
    ) -> None:
        with self._changed:
            self._stop = stop or self._stop
            self._newest = newest or self._newest
            self._finished, self._failure = finished, failure
            self._changed.notify_all()
