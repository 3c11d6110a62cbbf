"""Decodes a stream's bytes into pictures on a worker thread.

Receiving never waits for decoding: bytes are queued as they arrive, and whenever the worker is free
it takes all of them and renders one picture.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diffc_stream.container import Header
from diffc_stream.container.grammar import MOST_HEADER
from diffc_stream.container.metadata import NOTHING as UNKNOWN
from diffc_stream.container.metadata import Metadata
from diffc_stream.session import Rectangle

from .decoders import Method, Picture, StreamDecoder, metadata_of
from .header import header_of

Starting = Callable[[Header], Awaitable[object]]
Given = TypeVar("Given")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharpened:
    """A region of a picture that is better than the rest."""

    rectangle: Rectangle
    """Left, top, width and height in pixels."""
    bytes: int
    """How many bytes of its own stream it was made from."""
    predicted_psnr: float | None
    """Expected PSNR in dB."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Refinement:
    """A picture as far as it has been received."""

    image: NDArray[np.uint8]
    """8-bit sRGB, (H, W, 3), always of the full size."""
    bytes: int
    """How many bytes of the stream it was made from."""
    bpp: float
    """The same in bits per pixel."""
    predicted_psnr: float | None
    """Expected PSNR of the mmse picture in dB, predicted without the original."""
    complete: bool
    """Whether it is the last: the target is reached, or the sender has nothing better."""
    description: Mapping[str, str]
    """Notes for a file of this picture, for instance that its detail is synthesised."""
    metadata: Metadata = UNKNOWN
    """The picture's metadata, as far as they have arrived."""
    predicted_psnr_range: tuple[float, float] | None = None
    """The range in dB within which nine in ten pictures lie; it is wide for the first bytes."""
    regions: tuple[Sharpened, ...] = ()
    """The regions that were asked for and are better than the rest, to which all else refers."""


class Refiner:
    """Makes refinements from the bytes of one stream."""

    def __init__(
        self,
        decoder: StreamDecoder,
        worker: Executor,
        method: Method,
        *,
        previews: Method | None = None,
        starting: Starting | None = None,
    ) -> None:
        """Render by ``method``; all but the last picture by ``previews``, if given.

        ``starting`` is awaited with the stream's header, before any decoding, if the stream starts
        from another picture.
        """
        self._decoder = decoder
        self._worker = worker
        self._method: Method = method
        self._previews: Method = previews or method
        self._starting = starting
        self._head = b""
        """The first bytes, as long as the header is not complete."""
        self._pending = bytearray()
        self._changed = asyncio.Event()
        self._finished = False
        self._failure: BaseException | None = None
        self._newest: Refinement | None = None

    def feed(self, data: bytes) -> None:
        """Queue more bytes."""
        self._pending += data
        self._changed.set()

    def finish(self, failure: BaseException | None = None) -> None:
        """End the stream, with ``failure`` if there was one."""
        self._finished = True
        self._failure = failure
        self._changed.set()

    async def next(self) -> Refinement | None:
        """Wait for the next picture; None after the last.

        All queued bytes are decoded before a failure is raised.  Raises that failure,
        NothingDecodable if the stream ended too early for any picture, or the decoder's errors.
        """
        while True:
            while not (self._pending or self._finished):
                self._changed.clear()
                await self._changed.wait()
            if not self._pending:
                return await self._last()
            data = bytes(self._pending)
            self._pending.clear()
            await self._begin(data)
            picture = await self._compute(self._decode, data)
            if picture is not None:
                done = self._finished and self._failure is None and not self._pending
                done = done and self._previews == self._method
                self._newest = _refinement(picture, complete=done)
                return self._newest

    async def _begin(self, data: bytes) -> None:
        """Wait until there is what the stream starts from."""
        if self._starting is None:
            return
        self._head += data[: MOST_HEADER - len(self._head)]
        header = header_of(self._head)
        if header is None and len(self._head) < MOST_HEADER:
            return
        starting, self._starting = self._starting, None
        if header is not None and header.reference is not None:
            await starting(header)

    async def _last(self) -> Refinement | None:
        if self._failure is not None:
            raise self._failure
        if self._newest is not None and self._newest.complete:
            return None
        if self._newest is None or self._previews != self._method:
            # If nothing could be decoded, the decoder raises here.
            picture = await self._compute(self._decoder.render, self._method)
            self._newest = _refinement(picture, complete=True)
        else:
            self._newest = replace(self._newest, complete=True)
        return self._newest

    def _decode(self, data: bytes) -> Picture | None:
        self._decoder.feed(data)
        return self._decoder.render(self._previews) if self._decoder.ready else None

    async def _compute(self, function: Callable[[Given], Result], given: Given) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._worker, function, given)


def _refinement(picture: Picture, *, complete: bool) -> Refinement:
    return Refinement(
        image=picture.image,
        bytes=picture.bytes,
        bpp=picture.bpp,
        predicted_psnr=picture.predicted_psnr,
        complete=complete,
        description=picture.description,
        metadata=metadata_of(picture),
        # Decoders of third parties may not have this attribute.
        predicted_psnr_range=getattr(picture, "predicted_psnr_range", None),
    )
