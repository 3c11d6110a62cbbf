"""The rate-distortion curve of a stream, with a hull that its receivers share."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from diffc_stream.codec.curve import Curve
from diffc_stream.session.interleaving import hull


class HulledCurve(Curve):
    """A curve whose hull is computed once for all receivers."""

    def __init__(self) -> None:
        """Start an empty curve."""
        super().__init__()
        self._hull: Sequence[int] = ()

    def feed(self, data: bytes) -> None:
        """Take more bytes of the stream."""
        super().feed(data)
        self._hull = ()

    def hull(self) -> Sequence[int]:
        """Return :func:`~diffc_stream.session.interleaving.hull` of the curve so far."""
        if not self._hull:
            # An array, because streams stay in memory and a list takes five times as much.
            self._hull = array("I", hull(self.offsets, self.psnr()))
        return self._hull
