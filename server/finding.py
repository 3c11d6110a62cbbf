"""What is sent to who asks for a picture: the stream to join, or why there is none for him."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from diffc_stream.errors import RequestRefused
from diffc_stream.session import Capability, Code, Hello, Open

from .catalogue import Catalogue
from .encoding import is_stream
from .pipeline import Account, Pipeline, SharedStream


class Finder:
    """Finds what is asked for in one catalogue."""

    def __init__(self, catalogue: Catalogue, pipeline: Pipeline) -> None:
        self._catalogue = catalogue
        self._pipeline = pipeline

    async def find(
        self, request: Open, hello: Hello, wake: Callable[[], None], account: Account | None
    ) -> SharedStream:
        """Return the stream that is asked for, joined, as soon as it has come to where it starts.

        ``wake`` is called whenever there is more of it, and ``account`` pays.  Raises
        RequestRefused.
        """
        file = await asyncio.to_thread(self._catalogue.file, request.image)
        model = None if is_stream(file.path) else self._model(request, hello)
        shared = self._pipeline.of(file, model)
        shared.join(wake, account)
        try:
            await shared.reach(request.start, account)
            assert shared.model is not None
            _check_format(hello)
            _check_model(hello, shared.model)
            if request.start and shared.prefix(request.start) != request.prefix:
                raise RequestRefused(
                    Code.PREFIX_MISMATCH,
                    f"the first {request.start} bytes are not as held: begin anew without them",
                )
        except BaseException:
            shared.leave(wake)
            raise
        return shared

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


def _check_format(hello: Hello) -> None:
    """Raise RequestRefused if the receiver says which formats it reads, and not ours."""
    formats = [word for word in hello.capabilities if word.startswith("dfc")]
    if formats and Capability.DFC1 not in formats:
        raise RequestRefused(
            Code.UNSUPPORTED,
            f"streams here are {Capability.DFC1}, and you read {', '.join(formats)} only",
        )


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
