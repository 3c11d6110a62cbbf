"""What the receiver can tell of its own picture's error, without side information.

The sender spends n bits on a step so as to gain delta; an error of energy |e|^2 asks for
n = D/2 log2(1 + delta |e|^2 / D).  Read backwards, every step states the error of the estimate
it started from, and every opening the energy of the detail that was missing.  From there the
newest picture is extrapolated: error falls with a power of snr, detail with a ratio per octave.

All errors here are mean squares per value in signal units (the signal has a range of 4).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, log, log10

SIGNAL_RANGE = 4.0

_USUAL_SLOPE = 0.55
_USUAL_RATIO = 0.45
"""Missing detail of an octave over that of the next coarser one, on photographs."""
_SHRINKAGE = 0.75
"""What is left of newly observed detail's error, against denoising each value alone."""


@dataclass(slots=True)
class Forecast:
    """A running account of the error; :meth:`error` is what it is expected to be now."""

    _anchor: tuple[float, float] | None = None
    """(snr, error) of the last estimate whose error was stated."""
    _slope: float = _USUAL_SLOPE
    _details: list[float] = field(default_factory=list)
    """Missing detail per octave opened, coarsest first, per value of the opened octave."""

    def refined(self, *, snr: float, delta: float, stated: float) -> None:
        """Note a step from ``snr`` that gained ``delta`` on an estimate of error ``stated``."""
        if snr == 0.0:
            self._anchor = (delta, stated / (1.0 + delta * stated))
            return
        if self._anchor is not None and snr > 1.05 * self._anchor[0]:
            seen = log(self._anchor[1] / stated) / log(snr / self._anchor[0])
            self._slope = 0.5 * self._slope + 0.5 * min(max(seen, 0.2), 0.9)
        self._anchor = (snr, stated)

    def opened(self, *, snr: float, coarse: float, stated: float) -> None:
        """Note that detail of energy ``stated`` was opened at ``snr`` (of the finer octave).

        ``coarse`` is the error expected of the coarser octave.
        """
        missing = 0.75 * stated
        self._details.append(missing)
        found = _SHRINKAGE * 0.75 * stated / (1.0 + snr * stated)
        self._anchor = (snr, coarse + found)
        self._slope = _USUAL_SLOPE

    def error(self, snr: float) -> float:
        """Return the error to expect of the estimate at ``snr``, in the octave observed."""
        if self._anchor is None:
            return 1.0
        at, stated = self._anchor
        return stated * (at / snr) ** self._slope if snr > 0 else 1.0

    def unseen(self, octaves: int) -> float:
        """Return the detail to expect in the ``octaves`` finer ones that are not yet open."""
        if not octaves:
            return 0.0
        ratio = _USUAL_RATIO
        if len(self._details) >= 2:
            before, last = self._details[-2:]
            # One octave says little of the next: stay near what photographs usually do.
            ratio = exp(0.5 * log(_USUAL_RATIO) + 0.5 * log(min(max(last / before, 0.1), 1.0)))
        if self._details:
            following = self._details[-1] * ratio
        else:
            following = 0.1 * (self._anchor[1] if self._anchor else 1.0)
        return following * (1.0 - ratio**octaves) / (1.0 - ratio)

    def psnr(self, snr: float, octaves: int) -> float:
        """Return the PSNR in dB to expect of the whole picture at ``snr`` with ``octaves`` shut."""
        return decibel(self.error(snr) + self.unseen(octaves))


def decibel(error: float) -> float:
    """Return the PSNR in dB of a mean squared error in signal units."""
    return 10.0 * log10(SIGNAL_RANGE**2 / max(error, 1e-9))
