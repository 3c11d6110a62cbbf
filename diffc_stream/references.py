"""Pictures that streams start from, made of the bytes that name them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from diffc_stream.codec import Decoder, Held
from diffc_stream.container import Reference
from diffc_stream.container.grammar import MAGIC
from diffc_stream.diffusion.model import Model
from diffc_stream.errors import MissingReference, StreamError
from diffc_stream.picture import load_picture

MOST_STEPS_BACK = 100
"""So many references of references of ... are followed."""

Models = Mapping[str, Model] | Sequence[Model]
Finder = Callable[[Reference], bytes | None]
"""A function that returns the bytes that a reference names, or None if it does not have them."""


def held(data: bytes, models: Models, *, name: str = "", find: Finder | None = None) -> Held:
    """Return the picture that ``data`` is: a picture file, or a stream or the beginning of one.

    A stream is shown as mmse, by one of ``models``; ``find`` looks for what it starts from.  Raises
    PictureError, StreamError, ModelError or MissingReference.
    """
    return Held(picture=_picture(data, models, find, MOST_STEPS_BACK), data=data, name=name)


class References:
    """The pictures that streams may start from: what a :class:`~diffc_stream.codec.Decoder` asks.

    ``find`` returns the bytes that a reference names.  They are checked, and the pictures are made
    when a stream asks for them.
    """

    def __init__(self, models: Models, find: Finder) -> None:
        self._models = models
        self._find = find

    def __call__(self, reference: Reference) -> NDArray[np.uint8]:
        """Return the picture that ``reference`` names, 8-bit sRGB, (H, W, 3).

        Raises MissingReference if nothing that is found is it, and what :func:`held` raises.
        """
        return _found(reference, self._models, self._find, MOST_STEPS_BACK)


def among(files: Iterable[bytes]) -> Finder:
    """Return a finder that looks among ``files``, each whole or a beginning."""
    kept = list(files)
    return lambda reference: next((data for data in kept if reference.matches(data)), None)


def _found(
    reference: Reference, models: Models, find: Finder | None, left: int
) -> NDArray[np.uint8]:
    data = None if find is None else find(reference)
    if data is None or not reference.matches(data):
        raise MissingReference(reference.told)
    return _picture(data[: reference.size], models, find, left)


def _picture(data: bytes, models: Models, find: Finder | None, left: int) -> NDArray[np.uint8]:
    if not data.startswith(MAGIC):
        return load_picture(data)
    if not left:
        raise StreamError(f"more than {MOST_STEPS_BACK} streams that start from one another")
    decoder = Decoder(
        models, references=lambda reference: _found(reference, models, find, left - 1)
    )
    decoder.feed(data)
    return decoder.render().image
