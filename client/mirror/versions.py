"""The two versions of a stream in a mirror: the old one stays until the new one is as long."""

from __future__ import annotations

import contextlib

from .owned_folder import Occupied, OwnedFolder
from .paths import Place


def growing_version(owned: OwnedFolder, place: Place) -> str:
    """Return the file of a place that grows.  Slow.  Raises Unplaceable."""
    owned.places.check(place)
    return owned.beside(place) or owned.relative(place.stream)


def new_version(owned: OwnedFolder, place: Place) -> str:
    """Return the file for a new version of a stream.  Slow.  Raises Occupied if none is free."""
    beside = owned.beside(place) or owned.beside(place, anew=True)
    if beside is None:
        raise Occupied(f"{place.beside} and others are in the way; they are kept")
    return beside


def settle(owned: OwnedFolder, place: Place, *, ended: bool) -> tuple[int, bool]:
    """Replace the old stream by the newer one, if there is one that is as long or has ``ended``.

    Slow; returns the bytes of the stream in place, and whether another took its place.  Raises
    OSError.
    """
    older = owned.relative(place.stream)
    newer = owned.beside(place)
    replaced = newer is not None and (ended or owned.size(newer) >= owned.size(older))
    if newer is not None and replaced:
        try:
            owned.settle(newer, older)
        except Occupied:
            with contextlib.suppress(OSError):
                owned.remove(newer)
            raise
    return owned.size(older), replaced
