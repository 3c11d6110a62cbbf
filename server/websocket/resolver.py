"""What is sent to who asks for a picture: the stream to join, or why there is none for him."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from diffc_stream.container.grammar import VERSION_ABOUT
from diffc_stream.errors import RequestRefused
from diffc_stream.opening import is_passing
from diffc_stream.session import Capability, Code, Hello, Open

from ..auth.quotas import Visit
from ..catalogue.catalogue import Catalogue
from ..catalogue.file import File, later
from ..encoding.pipeline import Pipeline, SharedStream
from ..encoding.source import is_stream
from ..encoding.subscribers import Wake

FORMATS = {Capability.DFC1, Capability.DFC2, Capability.DFC3}
VERSION_AT = 3
"""Where a stream says its version, in the high half of a byte."""


class Resolver:
    """Finds what is asked for in one catalogue."""

    def __init__(self, catalogue: Catalogue, pipeline: Pipeline) -> None:
        self._catalogue = catalogue
        self._pipeline = pipeline

    async def find(self, request: Open, hello: Hello, wake: Wake, visit: Visit) -> SharedStream:
        """Return the stream that is asked for, joined, as soon as it has come to where it starts.

        ``wake`` is called whenever there is more of it, and the visit's account pays.  Raises
        RequestRefused.
        """
        try:
            file = await asyncio.to_thread(self._catalogue.file, request.image)
        except (OSError, RuntimeError, MemoryError) as error:
            # Without threads or memory nothing could be looked at.
            if is_passing(error):
                raise later() from error
            raise
        model = None if is_stream(file.path) else self._model(request, hello)
        for shared in self._candidates(file, model, hello):
            if await _joined(shared, request, hello, wake, visit):
                return shared
        raise RequestRefused(
            Code.PREFIX_MISMATCH,
            f"the first {request.start} bytes are not as held: begin anew without them",
        )

    def _candidates(self, file: File, model: str | None, hello: Hello) -> Iterator[SharedStream]:
        """Yield the streams of a picture that a receiver reads, until he holds the beginning."""
        described = Capability.DFC3 in hello.capabilities
        shared = self._pipeline.of(file, model, described=described)
        yield shared
        if described and model is not None and _version(shared) == VERSION_ABOUT:
            # The bytes held may be of a time when nobody was told how it was taken.
            yield self._pipeline.of(file, model)

    def _model(self, request: Open, hello: Hello) -> str:
        """Return the model to encode a picture with.  Raises RequestRefused if there is none."""
        ours = self._pipeline.opener.fingerprints
        if request.model is None:
            chosen = next((model for model in ours if _decodes(hello, model)), ours[0])
            _check_model(hello, chosen)
            return chosen
        # The bytes held go on with the model that they were made with, preferred or not.
        _check_model(hello, request.model)
        if request.model not in ours:
            raise RequestRefused(
                Code.PREFIX_MISMATCH,
                f"the bytes held are of the model {request.model}, which is not here: "
                "begin anew without them",
            )
        return request.model


async def _joined(
    shared: SharedStream, request: Open, hello: Hello, wake: Wake, visit: Visit
) -> bool:
    """Join a stream as soon as it has come to where it starts; not if others' bytes are held.

    Raises RequestRefused.
    """
    shared.join(wake, visit.account)
    proven = False
    try:
        await shared.reach(0, visit.account, claimed=request.start > 0)
        assert shared.model is not None
        await _check_format(hello, shared, visit)
        _check_model(hello, shared.model)
        proven = await _proven(request, shared, wake, visit)
    finally:
        if not proven:
            shared.leave(wake)
    return proven


async def _proven(request: Open, shared: SharedStream, wake: Wake, visit: Visit) -> bool:
    """Tell whether the receiver has what it says to hold; what that takes is on trust."""
    if shared.light or shared.complete or len(shared) >= request.start:
        await shared.reach(request.start, visit.account)
        return not request.start or shared.prefix(request.start) == request.prefix
    async with visit.claims.claim(visit.account) as claim:
        shared.bill(wake, claim)
        await shared.reach(request.start, claim, claimed=True)
        proven = shared.prefix(request.start) == request.prefix
        if proven:
            claim.prove()
        shared.bill(wake, visit.account)
    return proven


async def _check_format(hello: Hello, shared: SharedStream, visit: Visit) -> None:
    """Raise RequestRefused if the receiver says which formats it reads, and not the stream's."""
    formats = [word for word in hello.capabilities if word.startswith("dfc")]
    if not formats or set(formats) >= FORMATS:
        return
    if FORMATS & set(formats):
        await shared.reach(VERSION_AT + 1, visit.account)
        if f"dfc{_version(shared)}" in formats:
            return
    raise RequestRefused(
        Code.UNSUPPORTED,
        f"streams here are {' and '.join(sorted(FORMATS))}, and you read {', '.join(formats)} only",
    )


def _version(shared: SharedStream) -> int | None:
    """Return the version that a stream names; None if it has not come so far."""
    named = shared.read(VERSION_AT, VERSION_AT + 1)
    return named[0] >> 4 if named else None


def _check_model(hello: Hello, model: str) -> None:
    """Raise RequestRefused if the receiver could do nothing with a stream of ``model``."""
    if not _decodes(hello, model):
        raise RequestRefused(
            Code.UNKNOWN_MODEL,
            f"it needs the model {model}, which you do not have: get its file and ask again",
            model=model,
        )


def _decodes(hello: Hello, model: str) -> bool:
    """Tell whether the receiver has ``model``, or at least does not say that it lacks it."""
    return not hello.models or model in hello.models
