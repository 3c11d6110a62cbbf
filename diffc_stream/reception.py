"""A broadcast as it comes in: packets taken, the picture that they give, and what is missing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from diffc_stream.codec import Patchwork
from diffc_stream.codec.decoder import (
    MOST_PIXELS,
    Method,
    References,
    Rendering,
    no_references,
)
from diffc_stream.errors import NothingDecodable
from diffc_stream.packets import Gathered, Outcome, Receiver

if TYPE_CHECKING:
    from diffc_stream.diffusion.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a receiver has of the stream last heard of."""

    stream: int | None
    """The number that packets name it by; None before the first packet."""
    packets: int
    """Packets that told something new."""
    duplicates: int
    damaged: int
    foreign: int
    pieces: int
    missing: int | None
    """Pieces that are missing; None as long as nobody has said how many there are."""
    station: str

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.missing == 0

    def __str__(self) -> str:
        missing = "?" if self.missing is None else self.missing
        return (
            f"{self.packets} packets, {self.duplicates} duplicates, {missing} of "
            f"{'?' if self.missing is None else self.pieces + self.missing} pieces missing"
        )


class Reception:
    """Take packets, from one or several antennas, and show the picture that they give so far.

    ``models`` and ``references`` are as for :class:`~diffc_stream.codec.Decoder`; ``wanted`` is the
    only stream to show, by its number.  Otherwise it is the one last heard of.  Not safe to use
    from two threads at once.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        *,
        wanted: int | None = None,
        most_pixels: int = MOST_PIXELS,
        references: References = no_references,
    ) -> None:
        self.receiver = Receiver(wanted=wanted)
        self._new = partial(Patchwork, models, most_pixels=most_pixels, references=references)
        self._patchwork: tuple[Gathered, int, Patchwork] | None = None

    def take(self, packet: bytes) -> Outcome:
        """Take a packet, and return what it was good for.  Never raises, whatever the bytes."""
        return self.receiver.take(packet)

    @property
    def progress(self) -> Progress:
        """What there is of the stream last heard of."""
        counts, gathered = self.receiver.counts, self.receiver.newest
        return Progress(
            stream=gathered.identity if gathered else None,
            packets=counts[Outcome.NEW],
            duplicates=counts[Outcome.KNOWN],
            damaged=counts[Outcome.DAMAGED],
            foreign=counts[Outcome.FOREIGN],
            pieces=gathered.pieces if gathered else 0,
            missing=gathered.missing if gathered else None,
            station=self.receiver.station,
        )

    @property
    def stream(self) -> bytes:
        """The bytes of the stream last heard of, up to the first that is missing."""
        return self.receiver.newest.prefix if self.receiver.newest else b""

    def render(self, method: Method = "mmse", *, symmetries: int = 1) -> Rendering:
        """Return the picture of the stream last heard of.

        Raises NothingDecodable as long as there is none, and otherwise as Decoder.feed does.
        """
        gathered = self.receiver.newest
        if gathered is None:
            raise NothingDecodable("nothing can be decoded yet: no packet has arrived")
        known = self._patchwork
        if known is None or known[:2] != (gathered, gathered.distrusted):
            # What was forgotten may come again with other bytes.
            known = self._patchwork = (gathered, gathered.distrusted, self._new())
        return known[2].decoder(gathered.parts()).render(method, symmetries=symmetries)


def sharpening(
    reception: Reception,
    packets: Iterable[bytes | None],
    *,
    every: float | None = None,
    live: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Take packets, and yield whenever a picture is to be made, because there are news.

    None among the packets is a moment without any.  That is when pictures are made, because they
    cost more than taking packets does; or, with ``every``, so many seconds after the last, and the
    first at once if packets are ``live``.  Ends when the stream is complete, or ``packets`` are.
    """
    news, last = False, -math.inf if live else clock()
    for packet in packets:
        if packet is not None and reception.take(packet) is Outcome.NEW:
            news = True
            if reception.progress.complete:
                break
        if news and (packet is None if every is None else clock() - last >= every):
            yield
            news, last = False, clock()
    if news:
        yield
