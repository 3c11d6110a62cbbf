"""One stream that a mirror is receiving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from diffc_stream.session import End, Target

from ..remote.links import AnyLink, PullLink
from ..storage.shielded import shielded
from .growing_file import GrowingStream
from .paths import Place
from .state import Record

GROWTH = 1.5
"""Factor of bytes between two renderings: so many more make a visibly better picture, by 1 dB."""


class Incoming(Protocol):
    """The events of a stream, from a sender or from a file server."""

    async def several(self) -> tuple[bytes, End | None]:
        """Wait for bytes; return all that have arrived, and the end if it has too."""
        ...

    def update(self, target: Target, weight: float, /) -> None:
        """Change the stream's target and weight."""
        ...

    def stop(self) -> None:
        """Stop the stream."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class Transfer:
    """A stream that is being received."""

    name: str
    record: Record
    """Its record at the start; the sender may have removed the picture since."""
    place: Place | None = None
    """The place of its file, once it is known."""
    held: int = 0
    received: int = 0
    """Bytes that have come for it."""
    shown: int = 0
    """Bytes held at the last call of ``on_change``."""
    bounded: bool = False
    """Whether it ends soon to let others have a turn; it is rendered then."""
    looked_back: bool = False
    """Whether its header has been looked at: it says what the stream starts from."""
    incoming: Incoming | None = None
    curtailed: bool = False

    def curtail(self) -> None:
        """Let it end where it is, so that others get a turn."""
        self.curtailed = True
        if self.incoming is not None:
            self.incoming.update(Target(bytes=max(1, self.held)), 1.0)

    def much_grown(self) -> bool:
        """Tell whether it has grown by GROWTH since it was shown, and note that it is shown."""
        if self.bounded or self.held < GROWTH * max(1, self.shown):
            return False
        self.shown = self.held
        return True


async def ask(
    link: AnyLink, name: str, kept: GrowingStream, target: Target, weight: float
) -> Incoming:
    """Ask for the bytes after those of ``kept``, whose file is read on a thread."""
    if isinstance(link, PullLink):
        return link.open(name, held=await shielded(kept.read), target=target)
    header = await shielded(lambda: kept.header)
    return link.open(
        name,
        start=kept.length,
        prefix=kept.prefix,
        target=target,
        weight=weight,
        model=header.model if header else None,
        bounded=True,
    )
