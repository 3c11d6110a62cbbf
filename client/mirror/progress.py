"""What is told of a picture that is mirrored."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .owned_folder import Holdings
from .paths import Place
from .state import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """How far a picture has come."""

    name: str
    stream: Path
    picture: Path
    """Where it would be rendered to."""
    bytes: int
    complete: bool
    """There is no more of it, or no more is wanted."""
    holdings: Holdings | None = field(default=None, repr=False, compare=False)
    """What knows whether a picture there is ours to replace."""


def mirrored(record: Record, place: Place, held: int, holdings: Holdings) -> Mirrored:
    """Return what is told of a picture."""
    return Mirrored(
        name=record.entry.name,
        stream=place.stream,
        picture=place.picture,
        bytes=held,
        complete=record.ended is not None,
        holdings=holdings,
    )
