"""The beginning of a stream, before its first step: its header, and the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diffc_stream.codec.chain import Chain
from diffc_stream.codec.held import Held, found
from diffc_stream.container import Header, Prefix, Reference
from diffc_stream.container.grammar import WHITE_RATIO, ratio
from diffc_stream.diffusion.model import Model
from diffc_stream.diffusion.reference import ReferencePicture
from diffc_stream.errors import MissingReference, TargetError, UnknownModel, UnsupportedStream

SMALLEST = 8
"""Fewest bytes after the header in a target: a step's description and a little of its payload."""


def beginning(
    header: Header,
    prefix: Prefix,
    picture: NDArray[np.uint8],
    held: Held | None,
    *,
    shaped: bool,
    seeded: bool,
) -> tuple[Header, ReferencePicture | None]:
    """Return the header of a stream of ``picture``, and the reference that it starts from.

    ``header`` is as it would be without reference and prefix: its ratio, its seed unless it is
    ``seeded`` already, and whether there may be facts are as in ``prefix`` if that has a header.  A
    reference that does not help is not used, nor is any by a model that does not know ``shaped``
    noise.

    Raises PrefixMismatch if ``prefix`` has another header, and MissingReference if it starts from
    bytes other than those that the picture ``held`` is made of, all of them.
    """
    reference = None
    begun = prefix.header
    if begun is not None:
        header = replace(
            header,
            about=begun.about,
            ratio=begun.ratio if shaped else header.ratio,
            seed=header.seed if seeded else begun.seed,
        )
        if begun.reference is not None:
            if held is None or not _made_of(begun.reference, held.data):
                raise MissingReference(begun.reference.told, "give its file with --start FILE")
            header = replace(header, reference=begun.reference)
    elif held is not None and shaped and header.ratio != WHITE_RATIO:
        used = held.used_for(picture)
        if used is not None:
            said, reference = used
            header = replace(header, about=True, reference=said)
    prefix.check(header)
    if header.reference is not None and reference is None and held is not None:
        reference = found(header.reference, held.picture, header.height, header.width)
    return header, reference


def _made_of(said: Reference, data: bytes) -> bool:
    """Return whether ``data`` are the bytes that ``said`` names, and no more.

    More of a stream show another picture than its beginning does.
    """
    return len(data) == said.size and said.matches(data)


def named(models: Mapping[str, Model], header: Header) -> Model:
    """Return the model that a stream names; ``models`` are those at hand, by fingerprint.

    Raises UnknownModel, or UnsupportedStream if the model does not know such noise.
    """
    model = models.get(header.model)
    if model is None:
        raise UnknownModel(header.model)
    if header.ratio != WHITE_RATIO and not model.shaped:
        raise UnsupportedStream("this stream shapes its noise, which its model does not know")
    return model


def by_fingerprint(models: Mapping[str, Model] | Sequence[Model]) -> Mapping[str, Model]:
    """Return models by their fingerprints, as they are if they are that already."""
    if isinstance(models, Mapping):
        return models
    return {model.fingerprint: model for model in models}


def chain(header: Header, model: Model, reference: ReferencePicture | None) -> Chain:
    """Return the chain of a stream at its start, for either end."""
    return Chain(
        model.denoiser,
        height=header.height,
        width=header.width,
        seed=header.seed,
        ratio=ratio(header.ratio),
        reference=reference,
    )


def check(header: Header, target: int, there: int) -> None:
    """Raise TargetError unless ``target`` bytes leave room for something.

    That has to come after the header, and after the ``there`` bytes that are there already.
    """
    smallest = len(header.encode()) + SMALLEST
    if target < smallest:
        raise TargetError(f"{target} bytes are too few: this picture needs at least {smallest}")
    if there and target <= there:
        raise TargetError(f"{target} bytes are not beyond the {there} that are there already")
