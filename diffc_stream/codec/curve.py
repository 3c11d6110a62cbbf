"""What a stream gives for its bytes: its rate-distortion curve, told from the stream alone.

A sender holds more of a stream than its receiver, and every step states the error of the estimate
that it starts from, every opening the energy of the detail that was missing
(:mod:`~diffc_stream.codec.forecast`).  So whoever has the steps that follow knows the error at a
byte in hindsight, where the receiver, at that byte, had to foresee it.  Neither a model nor the
picture is needed, and nothing is decoded.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from diffc_stream.channel import trellis
from diffc_stream.codec.forecast import DETAIL_SHARE, Forecast, decibel
from diffc_stream.container import (
    About,
    Check,
    Header,
    Kind,
    Payload,
    Simulator,
    Step,
    StreamReader,
)
from diffc_stream.container.grammar import delta, ratio, segments
from diffc_stream.container.reader import Event
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.field import dimensions
from diffc_stream.diffusion.observation import opened_snr
from diffc_stream.errors import CorruptStream, StreamError

MOST_STEPS = 10_000
"""Steps of a stream that a curve follows; pictures have a hundred, nonsense may have millions."""


@dataclass(slots=True, kw_only=True)
class _Point:
    """What holds after a step."""

    octave: int
    snr: float
    error: float
    """Of the estimate, mean square per value of this octave: foreseen, then as stated."""
    opened: int
    """Octaves opened so far."""


class Curve:
    """The curve of a stream that is fed in pieces, as far as they go.

    What cannot be parsed ends the curve and raises nothing: whoever decodes the stream says so.
    """

    def __init__(self) -> None:
        self.offsets: list[int] = []
        """Bytes after the header and after every step that is there, its last check included
        once that has come too."""
        self.boundaries: list[int] = []
        """Bytes after every record and segment: where a message had better end."""
        self._reader = StreamReader()
        self._sizes: list[octaves.Size] = []
        self._points: list[_Point] = []
        self._openings: list[tuple[int, int]] = []
        self._ratio = 1.0
        self._forecast = Forecast()
        self._step: Step | None = None
        self._segments: Iterator[int] = iter(())
        self._left = 0
        self._damaged = False
        self._psnr: list[float] = []
        """Of the first points, as far as it has been asked for and not changed since."""

    def feed(self, data: bytes) -> None:
        """Take more bytes of the stream."""
        if self._damaged:
            return
        try:
            for event in self._reader.feed(data):
                self._take(event)
        except StreamError:
            self._damaged = True

    def psnr(self) -> list[float]:
        """Return the PSNR in dB to expect at each of :attr:`offsets`, never less than before.

        What is known of later steps is used, so that it changes when more is fed.
        """
        best = self._psnr[-1] if self._psnr else 0.0
        for point in self._points[len(self._psnr) :]:
            best = max(best, decibel(point.error + self._unseen(point)))
            self._psnr.append(best)
        return self._psnr

    def reaching(self, psnr: float) -> int | None:
        """Return after which step the quality of ``psnr`` dB is reached; None if not so far.

        Not after the header, where there is no picture yet.
        """
        place = max(1, bisect_left(self.psnr(), psnr))
        return self.offsets[place] if place < len(self.offsets) else None

    def opening(self, side: int) -> int | None:
        """Return where the first octave opens that a longest side of ``side`` has no use for.

        An octave is of use if the next coarser one is smaller than that.  None if no such opening
        has begun so far.
        """
        for octave, offset in self._openings:
            if max(self._sizes[octave + 1]) >= side:
                return offset
        return None

    def _take(self, event: Event) -> None:
        match event:
            case Header():
                self._sizes = octaves.sizes(event.height, event.width)
                self._ratio = ratio(event.ratio)
                self._forecast = Forecast(ratio=self._ratio)
                self.boundaries.append(self._reader.offset)
                self._add(octave=len(self._sizes) - 1, snr=0.0)
            case Step():
                self._step, self._segments = event, segments(event.length)
                self._left = next(self._segments)
                if event.kind is Kind.OPEN and self._points[-1].octave:
                    self._openings.append((self._points[-1].octave - 1, self._reader.began))
            case Payload():
                self._left -= len(event.data)
                if not self._left:
                    self._left = next(self._segments, 0)
                    self.boundaries.append(self._reader.offset)
                    if not self._left and self._step is not None:
                        self._finish(self._step)
            case Check():
                self._belongs(self.offsets, event.offset)
                self._belongs(self.boundaries, event.offset)
            case About():
                self.boundaries.append(self._reader.offset)

    def _belongs(self, places: list[int], offset: int) -> None:
        """Have what ended where a check begins end after it."""
        if places and places[-1] == offset:
            places[-1] = self._reader.offset

    def _finish(self, step: Step) -> None:
        last = self._points[-1]
        if step.kind is Kind.REFINE:
            gained = delta(step.delta_code)
            stated = _energy(step, self._dimensions(last.octave)) / gained
            last.error = self._forecast.plain(stated, last.snr)
            self._forecast = self._forecast.refined(snr=last.snr, stated=stated)
            del self._psnr[len(self._points) - 1 :]
            self._add(octave=last.octave, snr=last.snr + gained)
        elif last.octave and last.snr:
            snr = opened_snr(last.snr, self._ratio)
            finer = self._sizes[last.octave - 1]
            stated = _energy(step, octaves.detail_dimensions(finer)) / snr
            self._forecast = self._forecast.opened(snr=snr, stated=stated)
            self._psnr.clear()
            self._add(octave=last.octave - 1, snr=snr)
        else:
            raise CorruptStream("there is no finer octave to open", offset=self._reader.began)
        if len(self._points) > MOST_STEPS:
            raise CorruptStream("more steps than any picture has", offset=self._reader.offset)

    def _dimensions(self, octave: int) -> int:
        """Return over how many values a refinement of ``octave`` runs."""
        white = self._ratio == 1.0
        return dimensions(self._sizes[octave], 0 if white else len(self._sizes) - 1 - octave)

    def _add(self, *, octave: int, snr: float) -> None:
        error, opened = self._forecast.error(snr), len(self._forecast.details)
        self._points.append(_Point(octave=octave, snr=snr, error=error, opened=opened))
        self.offsets.append(self._reader.offset)

    def _unseen(self, point: _Point) -> float:
        known = self._forecast.details[point.opened :]
        return DETAIL_SHARE * sum(known) + self._forecast.unseen(point.octave - len(known))


def _energy(step: Step, dims: int) -> float:
    """Return the energy of the shift that a step of this length was made for.

    Simulators other than the trellis say it in their payload; the length is near enough.
    """
    if step.simulator is Simulator.TRELLIS:
        cosine = trellis.cosine_squared(8 * step.length, dims)
        return float(cosine / (1.0 - cosine))
    return float(2.0 ** min(16.0 * step.length / dims, 64.0) - 1.0)
