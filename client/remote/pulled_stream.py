"""Streams whose pieces have to be asked for: the receiver decides where they end."""

from __future__ import annotations

from diffc_stream.codec import Curve
from diffc_stream.container.grammar import MOST_HEADER
from diffc_stream.session import MAX_STREAM, Data, End, Target

from ..decoding.header import header_of


def how_far(target: Target, pixels: int | None, curve: Curve) -> int:
    """Return where a stream should end, as far as ``curve``, the bytes so far, can tell.

    Bits per pixel do not count while the number of ``pixels`` is not known.  A sender knows the
    bytes that follow, and so finds the end of a target quality a little more exactly.
    """
    ends = [MAX_STREAM]
    length = target.bytes if pixels is None else target.length(pixels)
    if length is not None:
        ends.append(length)
    opening = None if target.side is None else curve.opening(target.side)
    if opening is not None:
        ends.append(opening)
    good = None if target.psnr is None else curve.reaching(target.psnr)
    if good is not None:
        ends.append(good)
    return min(ends)


class PulledStream:
    """The events of one stream as they arrive; where they come from is up to subclasses."""

    def __init__(self, held: bytes, target: Target) -> None:
        """Go on after the bytes ``held``, as far as ``target``."""
        self._target = target
        self._position = len(held)
        """How many bytes are held."""
        self._start = held[:MOST_HEADER]
        self._curve = Curve()
        self._curve.feed(held)

    async def next(self) -> Data | End:
        """Wait for the next bytes, or the end.  Raises PeerError, LinkLost, RemoteProtocolError."""
        raise NotImplementedError

    async def several(self) -> tuple[bytes, End | None]:
        """Wait for the next bytes, or the end.  Raises what :meth:`next` does."""
        event = await self.next()
        return (b"", event) if isinstance(event, End) else (event.payload, None)

    def update(self, target: Target, _weight: float) -> None:
        """Change the target.  Weights have no meaning here."""
        self._target = target

    def heard(self, _end: End) -> bool:
        """Return True: updates take effect at once."""
        return True

    @property
    def _end(self) -> int:
        """Where the stream should end, as far as its bytes so far tell."""
        header = header_of(self._start)
        pixels = header.pixels if header is not None else None
        return how_far(self._target, pixels, self._curve)
