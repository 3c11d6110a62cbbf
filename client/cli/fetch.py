"""Fetches one picture into a file."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from diffc_stream.destination import check, same
from diffc_stream.errors import (
    DestinationError,
    MissingReference,
    NotAStream,
    PeerError,
    StreamError,
    UnknownModel,
)
from diffc_stream.formats import format_of, save_picture
from diffc_stream.session import MAX_STREAM, WHOLE, Rectangle, Target, Terms

from ..api.connection import connect
from ..api.demand import COARSE, Demand, wished
from ..decoding.decoders import Decoders, Method
from ..decoding.refiner import Refinement, Sharpened
from ..remote.address import Address
from ..remote.credentials import NO_ACCESS, Access
from ..storage.cache import Cached, Store
from ..storage.partial_stream import FileStream, begins_stream, outdated

logger = logging.getLogger("diffc_client")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A picture to fetch, and where to write it."""

    address: Address
    """The picture's address."""
    out: Path
    target: Target = WHOLE
    region: Rectangle | None = None
    """The part that is to reach the target, the rest being coarse: left, top, width and height."""
    quality: int | None = None
    """1 to 100 for a lossy format; None is the format's default."""
    render: Method = "mmse"
    keep_stream: Path | None = None
    """File to keep the stream in; an existing one is continued."""
    plain: bool = False
    """Whether the stream is to start from no other picture."""
    store: Path | None = None
    """Folder of the cache; a cached prefix of the stream is continued."""
    patience: float | None = 60.0
    terms: Terms
    access: Access = NO_ACCESS


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """The result of a fetch."""

    out: str
    image: str
    bytes: int
    bpp: float
    predicted_psnr: float | None
    """That of the mmse picture, in dB."""
    predicted_psnr_range: tuple[float, float] | None
    render: Method
    width: int
    height: int
    seconds: float
    regions: tuple[Sharpened, ...] = ()
    """The part that was asked for, and its own stream."""


async def fetch(
    request: Request, decoders: Decoders, show: Callable[[Refinement], None]
) -> Fetched:
    """Fetch a picture, and write it once it is complete, in the format of ``out``'s suffix.

    ``show`` is called with every refinement.

    Without what the stream starts from, it asks for one that starts from no other picture.

    If anything goes wrong, no picture is written; a kept stream stays for the next attempt.
    Raises AddressError, DestinationError, SessionError, StreamError, UnknownModel,
    MissingReference or OSError.
    """
    await asyncio.to_thread(_check, request)
    image = request.address.picture
    began = time.monotonic()
    missing: MissingReference | None = None
    restarted = False
    with contextlib.ExitStack() as stack:
        kept = _kept(request, stack)
        if request.keep_stream is not None and not request.address.plain and not _refers(kept):
            request = replace(request, plain=True)  # a file by itself should be shown, too
        while True:  # three times at most: what is there, from the start, and by itself
            newest = None  # what was shown before may be of a stream that is dropped now
            try:
                async with aclosing(_refinements(request, image, decoders, kept)) as refinements:
                    async for refinement in refinements:
                        newest = refinement
                        show(refinement)
                break
            except (PeerError, StreamError, UnknownModel, MissingReference) as error:
                # A stream file that the user named is kept; a cached stream is dropped, also if
                # its model, or the picture that it starts from, is missing now.
                useless = outdated(error) or isinstance(error, UnknownModel | MissingReference)
                stale = kept is not None and kept.length and useless
                if request.keep_stream is not None and stale:
                    text = f"{request.keep_stream} cannot be continued, and stays as it is: {error}"
                    error.args = (text,)
                    raise
                if missing is not None:
                    raise missing from error
                if isinstance(error, MissingReference) and not request.plain:
                    missing, request = error, replace(request, plain=True)
                elif restarted or not stale:
                    raise
                else:
                    restarted = True
                if isinstance(kept, Cached):
                    kept.restart()
    # open() ends with a picture or with an error.
    assert newest is not None
    return await _written(request, newest, began)


async def _written(request: Request, newest: Refinement, began: float) -> Fetched:
    """Write the picture."""
    await asyncio.to_thread(
        save_picture,
        request.out,
        newest.image,
        text=newest.description,
        metadata=newest.metadata,
        quality=request.quality,
    )
    height, width = newest.image.shape[:2]
    return Fetched(
        out=str(request.out),
        image=request.address.picture,
        bytes=newest.bytes,
        bpp=newest.bpp,
        predicted_psnr=newest.predicted_psnr,
        predicted_psnr_range=newest.predicted_psnr_range,
        render=request.render,
        width=width,
        height=height,
        seconds=time.monotonic() - began,
        regions=newest.regions,
    )


def _check(request: Request) -> None:
    """Raise the errors of writing that can be known before anything is received."""
    if request.keep_stream is not None and request.region is not None:
        raise DestinationError("--keep-stream keeps whole pictures: not with --region")
    format_of(request.out, request.quality)
    check(request.out)
    kept = request.keep_stream
    if kept is not None and kept.exists() and not kept.is_file():
        raise DestinationError(f"{kept} is not a file: a stream cannot be kept there and continued")
    if kept is not None and same(request.out, kept):
        raise DestinationError(f"{kept} cannot be both the picture and the stream that is kept")


def _kept(request: Request, stack: contextlib.ExitStack) -> FileStream | Cached | None:
    if request.keep_stream is not None:
        named = stack.enter_context(FileStream(request.keep_stream))
        if not begins_stream(named.read()):
            raise NotAStream(f"{request.keep_stream} is not a stream, and stays as it is")
        return named
    if request.store is None:
        return None
    try:
        cached = Cached(Store(request.store).open(request.address))
    except (OSError, StreamError) as error:
        if (
            isinstance(error, OSError) and error.errno is not None
        ):  # without errno, another process uses the stream
            logger.warning("%s: streams cannot be cached: %s", request.store, error.strerror)
        return None  # the cache is a convenience
    stack.callback(cached.close)
    return cached


def _refers(kept: FileStream | Cached | None) -> bool:
    """Tell whether the bytes that are kept are of a stream that starts from another."""
    header = None if kept is None else kept.header
    return header is not None and header.reference is not None


def _wanted(request: Request) -> Demand:
    """Return what is wanted of the picture: with a region, COARSE of it or a quarter of the bytes.

    The rest of the bytes are the region's.
    """
    if request.region is None:
        return Demand(request.target)
    target, share = request.target, None
    if target.bytes is not None:
        share = max(1, target.bytes // 4)
        target = replace(target, bytes=max(1, target.bytes - share))
    wanted = Demand(replace(COARSE, bytes=share))
    # Only when all of that is there: the region starts from it.
    wanted.sharpen(wished(request.region, target, MAX_STREAM))
    return wanted


async def _refinements(
    request: Request, image: str, decoders: Decoders, kept: FileStream | Cached | None
) -> AsyncGenerator[Refinement, None]:
    async with connect(
        request.address,
        decoders=decoders,
        patience=request.patience,
        terms=request.terms,
        access=request.access,
        cache=request.store,
        plain=request.plain,
    ) as sender:
        opened = sender.deliver(
            image, _wanted(request), render=request.render, previews="mmse", kept=kept
        )
        async with aclosing(opened):
            async for refinement in opened:
                yield refinement
