"""Resolves a request for a picture to the stream that its receiver can use, or to a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

from diffc_stream.container import Header
from diffc_stream.container.grammar import MOST_HEADER, VERSION_ABOUT, VERSION_REFERENCE
from diffc_stream.errors import RequestRefused
from diffc_stream.opening import is_passing
from diffc_stream.session import Capability, Code, Hello, Open, Region

from ..auth.quotas import ConnectionQuota
from ..catalogue.catalogue import Catalogue
from ..catalogue.file import File, try_later
from ..encoding.pipeline import Pipeline, SharedStream, Whole
from ..encoding.source import is_stream
from ..encoding.subscribers import Wake

FORMATS = {
    Capability.DFC1,
    Capability.DFC2,
    Capability.DFC3,
    Capability.DFC4,
    Capability.DFC5,
}
VERSION_AT = 3
"""The offset of the byte whose high half is the version of a stream's format."""


class Resolver:
    """Resolves requests for the pictures of one catalogue."""

    def __init__(self, catalogue: Catalogue, pipeline: Pipeline) -> None:
        self._catalogue = catalogue
        self._pipeline = pipeline

    async def find(
        self, request: Open, hello: Hello, wake: Wake, quota: ConnectionQuota
    ) -> SharedStream:
        """Join the requested stream, and return it once it reaches the requested start.

        ``wake`` is called whenever the stream has grown, and its encoding is charged to the visit's
        account.  Raises RequestRefused.
        """
        try:
            return await self._find(request, hello, wake, quota)
        except (OSError, RuntimeError, MemoryError) as error:
            # Threads or memory have run out, which says nothing about the picture.
            if is_passing(error):
                raise try_later() from error
            raise

    async def _find(
        self, request: Open, hello: Hello, wake: Wake, quota: ConnectionQuota
    ) -> SharedStream:
        named = Capability.DFC4 in hello.capabilities
        file, before = await asyncio.to_thread(self._located, request.image, named)
        model = None if is_stream(file.path) else self._model(request, hello)
        region = request.region
        held = request
        if region is not None:
            held = replace(request, start=region.size, prefix=region.digest)
        for whole, shared in self._candidates(file, model, hello, before):
            if await self._joined(shared, held, hello, wake, quota):
                if region is None:
                    return shared
                try:
                    part = self._part(region, whole, shared, quota)
                finally:
                    shared.leave(wake)
                if await self._joined(part, request, hello, wake, quota):
                    return part
                raise _mismatch(request.start, "start again without them")
        if region is None:
            raise _mismatch(request.start, "start again without them")
        raise _mismatch(region.size, "it has been replaced: start again with all of it")

    async def _joined(
        self, shared: SharedStream, request: Open, hello: Hello, wake: Wake, quota: ConnectionQuota
    ) -> bool:
        """Join a stream once it reaches the requested start; return False if the bytes differ.

        Raises RequestRefused.
        """
        shared.join(wake, quota.account)
        proven = False
        try:
            await shared.reach(0, quota.account, claimed=request.start > 0)
            assert shared.model is not None
            await _check_format(hello, shared, quota)
            _check_model(hello, shared.model)
            proven = await self._proven(request, shared, wake, quota)
        finally:
            if not proven:
                shared.leave(wake)
        return proven

    async def _proven(
        self, request: Open, shared: SharedStream, wake: Wake, quota: ConnectionQuota
    ) -> bool:
        """Tell whether a receiver holds what it claims; encoding to find out counts as a claim."""
        if shared.light or shared.complete or len(shared) >= request.start:
            await shared.reach(request.start, quota.account)
            return not request.start or await self._holds(request, shared)
        async with quota.claims.claim(quota.account) as claim:
            shared.bill(wake, claim)
            await shared.reach(request.start, claim, claimed=True)
            # What others have encoded while the bytes are hashed is no part of the claim.
            shared.bill(wake, quota.account)
            proven = await self._holds(request, shared)
            if proven:
                claim.prove()
        return proven

    async def _holds(self, request: Open, shared: SharedStream) -> bool:
        """Tell whether the receiver has shown the hash of the bytes that it claims to hold."""
        return await self._pipeline.prefix(shared, request.start) == request.prefix

    def _part(
        self, region: Region, whole: Whole, shared: SharedStream, quota: ConnectionQuota
    ) -> SharedStream:
        """Return the stream of a region of the picture whose stream ``shared`` is."""
        header = Header.at(shared.read(0, min(region.size, MOST_HEADER)))
        shown = None if header is None else region.within(header.width, header.height)
        if header is None or shown is None:
            message = "the region reaches beyond the picture"
            if header is None:
                message = f"{region.size} bytes of the picture are too few for a region of it"
            raise RequestRefused(Code.UNKNOWN_REGION, message)
        return self._pipeline.part(whole, region, shown, quota.regions.take)

    def _located(self, image: str, referring: bool) -> tuple[File, tuple[File, ...]]:
        """Return a picture's file, and those that its stream goes back to if it may do so."""
        file = self._catalogue.file(image)
        return file, self._catalogue.before(image, file) if referring else ()

    def _candidates(
        self, file: File, model: str | None, hello: Hello, before: tuple[File, ...]
    ) -> Iterator[tuple[Whole, SharedStream]]:
        """Yield the streams of a picture that the receiver may hold the beginning of."""
        described = Capability.DFC3 in hello.capabilities
        shared = self._pipeline.of(file, model, described=described, before=before)
        yield Whole(file, model, described, before), shared
        if before and model is not None and _version(shared) == VERSION_REFERENCE:
            # The receiver's bytes may date from when no picture started from another.
            shared = self._pipeline.of(file, model, described=described)
            yield Whole(file, model, described, ()), shared
        if described and model is not None and _version(shared) == VERSION_ABOUT:
            # ... or from when the sender gave out no metadata.
            yield Whole(file, model, False, ()), self._pipeline.of(file, model)

    def _model(self, request: Open, hello: Hello) -> str:
        """Return the model to encode with.  Raises RequestRefused if the receiver lacks it."""
        ours = self._pipeline.opener.fingerprints
        if request.model is None:
            chosen = next((model for model in ours if _decodes(hello, model)), ours[0])
            _check_model(hello, chosen)
            return chosen
        # The receiver's bytes can only be continued with the model that made them.
        _check_model(hello, request.model)
        if request.model not in ours:
            raise RequestRefused(
                Code.PREFIX_MISMATCH,
                f"your bytes are of the model {request.model}, which is not here: "
                "start again without them",
            )
        return request.model


def _mismatch(length: int, advice: str) -> RequestRefused:
    message = f"the first {length} bytes differ from yours: {advice}"
    return RequestRefused(Code.PREFIX_MISMATCH, message)


async def _check_format(hello: Hello, shared: SharedStream, quota: ConnectionQuota) -> None:
    """Raise RequestRefused if the receiver lists formats, and not that of the stream."""
    formats = [word for word in hello.capabilities if word.startswith("dfc")]
    if not formats or set(formats) >= FORMATS:
        return
    if FORMATS & set(formats):
        await shared.reach(VERSION_AT + 1, quota.account)
        if f"dfc{_version(shared)}" in formats:
            return
    raise RequestRefused(
        Code.UNSUPPORTED,
        f"streams here are {' and '.join(sorted(FORMATS))}, but you read {', '.join(formats)} only",
    )


def _version(shared: SharedStream) -> int | None:
    """Return the version of a stream's format; None while that byte is not there yet."""
    named = shared.read(VERSION_AT, VERSION_AT + 1)
    return named[0] >> 4 if named else None


def _check_model(hello: Hello, model: str) -> None:
    """Raise RequestRefused if the receiver cannot decode streams of ``model``."""
    if not _decodes(hello, model):
        raise RequestRefused(
            Code.UNKNOWN_MODEL,
            f"it needs the model {model}, which you do not have: get its file and ask again",
            model=model,
        )


def _decodes(hello: Hello, model: str) -> bool:
    """Tell whether the receiver has ``model``, or does not say which models it has."""
    return not hello.models or model in hello.models
