"""The rate-distortion curve of a stream: the quality to expect after each of its bytes.

A sender uses it to decide which of several streams gains most by the next bytes.  Computing it
needs neither a model nor the picture, and decodes nothing: every step of a stream reveals the error
of the estimate that it started from, and every opening the energy of the detail that was missing
(:mod:`~diffc_stream.codec.forecast`).  A receiver has to extrapolate the error at its last byte; a
sender, which holds the steps that follow, can look it up.
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
from diffc_stream.diffusion.trust import Trust
from diffc_stream.errors import CorruptStream, StreamError

MOST_STEPS = 10_000
"""The most steps that a curve follows.  Pictures have about a hundred, but hostile or damaged bytes
may look like millions."""


@dataclass(slots=True, kw_only=True)
class _Point:
    """The state after a step."""

    octave: int
    snr: float
    error: float
    """Mean squared error of the estimate per value of this octave: predicted at first, and replaced
    by what the next step states."""
    opened: int
    """Octaves opened so far."""


class Curve:
    """The curve of a stream that is fed in pieces.  It reaches as far as they do.

    Bytes that cannot be parsed end the curve without an error: reporting damage is the decoder's
    business.  The curve of a clip, whose pictures have a quality each, ends with its header.
    """

    def __init__(self) -> None:
        self.offsets: list[int] = []
        """Byte offsets after the header and after every complete step, including the check that
        ends the step once that has come too."""
        self.boundaries: list[int] = []
        """Byte offsets after every record and segment: the best places for a message to end."""
        self._reader = StreamReader()
        self._sizes: list[octaves.Size] = []
        self._points: list[_Point] = []
        self._openings: list[tuple[int, int]] = []
        self._ratio = 1.0
        self._forecast = Forecast()
        self._step: Step | None = None
        self._segments: Iterator[int] = iter(())
        self._left = 0
        self._ended = False
        self._psnr: list[float] = []
        """The results of :meth:`psnr` that are still valid: those of the first points."""

    def feed(self, data: bytes) -> None:
        """Take more bytes of the stream."""
        if self._ended:
            return
        try:
            for event in self._reader.feed(data):
                if not self._ended:
                    self._take(event)
        except StreamError:
            self._ended = True

    def psnr(self) -> list[float]:
        """Return the expected PSNR in dB at each of :attr:`offsets`, in non-decreasing order.

        Later steps tell more about earlier ones, so the values change when more is fed.
        """
        best = self._psnr[-1] if self._psnr else 0.0
        for point in self._points[len(self._psnr) :]:
            best = max(best, decibel(point.error + self._unseen(point)))
            self._psnr.append(best)
        return self._psnr

    def reaching(self, psnr: float) -> int | None:
        """Return the offset of the first step with a quality of ``psnr`` dB, or None if none has.

        It is never the offset after the header, where there is no picture yet.
        """
        place = max(1, bisect_left(self.psnr(), psnr))
        return self.offsets[place] if place < len(self.offsets) else None

    def opening(self, side: int) -> int | None:
        """Return the offset at which the first octave opens that a display of ``side`` cannot use.

        ``side`` is the longest side of the display in pixels.  It has no use for an octave if the
        next coarser one is as large already.  Returns None if no such opening has begun so far.
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
                self._forecast = Forecast.beginning(self._ratio, self._trust(event))
                self.boundaries.append(self._reader.offset)
                self._add(octave=len(self._sizes) - 1, snr=0.0)
                self._ended = event.clip is not None
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

    def _trust(self, header: Header) -> Trust | None:
        if header.reference is None:
            return None
        try:
            return Trust.parse(header.reference.trust, self._sizes)
        except ValueError as error:
            raise CorruptStream(str(error), offset=0) from error

    def _belongs(self, places: list[int], offset: int) -> None:
        """Extend the last place over a check that follows it immediately."""
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
        """Return the number of values that a refinement of ``octave`` codes."""
        white = self._ratio == 1.0
        return dimensions(self._sizes[octave], 0 if white else len(self._sizes) - 1 - octave)

    def _add(self, *, octave: int, snr: float) -> None:
        error, opened = self._forecast.known(snr), len(self._forecast.details)
        self._points.append(_Point(octave=octave, snr=snr, error=error, opened=opened))
        self.offsets.append(self._reader.offset)

    def _unseen(self, point: _Point) -> float:
        known = self._forecast.details[point.opened :]
        return DETAIL_SHARE * sum(known) + self._forecast.unseen(point.octave - len(known))


def beginning(stream: bytes, side: int) -> bytes:
    """Return as much of a stream as a display can use whose longer side has ``side`` pixels."""
    curve = Curve()
    curve.feed(stream)
    return stream[: curve.opening(side)]


def _energy(step: Step, dims: int) -> float:
    """Return the energy of the shift that a step of this length was made for.

    Simulators other than the trellis state it in their payload; for a curve, the step's length
    tells it well enough.
    """
    if step.simulator is Simulator.TRELLIS:
        cosine = trellis.cosine_squared(8 * step.length, dims)
        return float(cosine / (1.0 - cosine))
    return float(2.0 ** min(16.0 * step.length / dims, 64.0) - 1.0)
