"""One stream on its way into a mirror's folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from diffc_stream.session import End, Target

from ..remote.http_ranges import RangeLink
from ..remote.websocket import Link
from ..storage.shielded import shielded
from .growing_file import GrowingStream
from .paths import Place
from .state import Record

GROWTH = 1.5
"""Times as many bytes as a picture was rendered of that make a visibly better one: about 1 dB."""


class Arrivals(Protocol):
    """What arrives of a stream, from a sender or from a server of files."""

    async def several(self) -> tuple[bytes, End | None]:
        """Wait for the next bytes, and return all that are there by now, and the end if it is."""
        ...

    def update(self, target: Target, weight: float, /) -> None:
        """Change how far the stream goes."""
        ...

    def stop(self) -> None:
        """Say that no more is wanted."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class Reception:
    """A stream on its way."""

    name: str
    record: Record
    """As it was when it began; the sender may have taken the picture back since."""
    place: Place | None = None
    """Where its file is, once that is known."""
    held: int = 0
    shown: int = 0
    """Bytes held when it was last said that its file has grown."""
    bounded: bool = False
    """It ends soon, for others to get their turn, and is shown then."""
    arrivals: Arrivals | None = None
    curtailed: bool = False

    def curtail(self) -> None:
        """Have it end where it is, for others to get their turn."""
        self.curtailed = True
        if self.arrivals is not None:
            self.arrivals.update(Target(bytes=max(1, self.held)), 1.0)

    def much_grown(self) -> bool:
        """Tell whether a better picture can be made now, once for every GROWTH of the bytes."""
        if self.bounded or self.held < GROWTH * max(1, self.shown):
            return False
        self.shown = self.held
        return True


async def ask(
    link: Link | RangeLink, name: str, kept: GrowingStream, target: Target, weight: float
) -> Arrivals:
    """Ask for what follows the bytes that are kept; what reads the disk does so on a thread."""
    if isinstance(link, RangeLink):
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
