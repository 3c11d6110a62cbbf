"""What a mirror reports of a picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .owned_folder import OwnedFolder
from .paths import Place
from .state import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """How much of a picture has been received."""

    name: str
    stream: Path
    picture: Path
    """The file that it would be rendered to."""
    bytes: int
    complete: bool
    """Whether it is complete, or has reached the mirror's target."""
    owned: OwnedFolder | None = field(default=None, repr=False, compare=False)
    """The folder, which knows whether the file ``picture`` is ours to replace."""


def mirrored(record: Record, place: Place, held: int, owned: OwnedFolder) -> Mirrored:
    """Return the report of a picture."""
    return Mirrored(
        name=record.entry.name,
        stream=place.stream,
        picture=place.picture,
        bytes=held,
        complete=record.ended is not None,
        owned=owned,
    )
