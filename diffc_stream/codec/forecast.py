"""What the receiver can tell of its own picture's error, without side information.

The sender spends n bits on a step so as to gain delta; an error of energy |e|^2 asks for
n = D/2 log2(1 + delta |e|^2 / D).  Read backwards, every step states the error of the estimate
it started from, and every opening the energy of the detail that was missing.  From there the
newest picture is extrapolated: error falls with a power of snr, detail with a ratio per octave.

All errors here are mean squares per value in signal units (the signal has a range of 4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log, log10

from diffc_stream.diffusion.observation import opened_snr

SIGNAL_RANGE = 4.0

_USUAL_SLOPE = 0.5
_USUAL_RATIO = 0.67
"""Missing detail of an octave over that of the next coarser one, on photographs."""
_UNSEEN_AT_FIRST = 0.1
"""Missing detail before any octave has told, on photographs."""
DETAIL_SHARE = 0.75
"""Three of four values of an octave are detail."""
_SHRINKAGE = 0.57
_LEAST_ERROR = 1e-9
"""Below it is nothing but rounding; a step over no error at all states 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the steps so far say of the error; :meth:`psnr` is what it comes to."""

    anchor: tuple[float, float] = (0.0, 1.0)
    """(snr, error) of the last estimate whose error was stated."""
    slope: float = _USUAL_SLOPE
    """Power of snr with which the error falls."""
    details: tuple[float, ...] = ()
    """Energy per value of the missing detail, per octave opened, coarsest first."""
    ratio: float = 1.0
    """Of the observation's precision field."""

    def refined(self, *, snr: float, stated: float) -> Forecast:
        """Return the forecast given that the estimate at ``snr`` had the error ``stated``.

        That is the mean of squares weighted by the precision of the observation, relative to snr.
        """
        stated = max(self.plain(stated, snr), _LEAST_ERROR)
        slope, (before, error) = self.slope, self.anchor
        if snr > 1.05 * before > 0.0:
            seen = log(error / stated) / log(snr / before)
            slope = 0.5 * slope + 0.5 * min(max(seen, 0.2), 0.9)
        return replace(self, anchor=(snr, stated), slope=slope)

    def opened(self, *, snr: float, stated: float) -> Forecast:
        """Return the forecast after opening an octave that is now observed at ``snr``.

        ``stated`` is the energy per value that the opening says the missing detail had.
        """
        stated = max(stated, _LEAST_ERROR)
        # Observing detail explains some of it; a denoiser explains more than each value alone.
        left = _SHRINKAGE * DETAIL_SHARE * stated / (1.0 + snr * stated)
        before = self.error(snr / opened_snr(1.0, self.ratio))
        return replace(
            self,
            anchor=(snr, before + left),
            slope=_USUAL_SLOPE,
            details=(*self.details, stated),
        )

    def plain(self, stated: float, snr: float) -> float:
        """Return the mean squared error of an estimate at ``snr`` whose weighted one is ``stated``.

        How errors spread over scales is told from the detail that the openings said was missing:
        observed at a precision p, detail of variance v misses 1 / (p + 1 / v) of each value.
        """
        if self.ratio == 1.0:
            return stated
        weighted = total = 0.0
        for scale, variance in enumerate((*reversed(self.details), None)):
            weight = self.ratio**-scale
            # In the finer octave a coarser one's coefficients are twice as large, per scale.
            share = 4.0**-scale if variance is None else DETAIL_SHARE * 4.0**-scale
            known = 0.0 if variance is None else 1.0 / max(variance * 4.0**scale, _LEAST_ERROR)
            error = share / (max(snr, _LEAST_ERROR) * weight + known)
            weighted += weight * error
            total += error
        return stated * total / weighted

    def error(self, snr: float) -> float:
        """Return the error to expect of the estimate at ``snr``, in the octave observed."""
        before, error = self.anchor
        if before == 0.0:
            # Values of this variance, seen one by one: nothing is known yet of their relations.
            return error / (1.0 + snr * error)
        return float(error * (before / snr) ** self.slope)

    def unseen(self, octaves: int) -> float:
        """Return the detail to expect in the ``octaves`` finer ones that are not yet open.

        Per value of the whole picture, left over by enlarging the estimate.
        """
        return sum(DETAIL_SHARE * self.missing(ahead) for ahead in range(octaves))

    def missing(self, ahead: int) -> float:
        """Return the energy per value of the missing detail to expect ``ahead`` + 1 octaves on."""
        if not self.details:
            return _UNSEEN_AT_FIRST * _USUAL_RATIO**ahead
        ratio = _USUAL_RATIO
        if len(self.details) >= 2:
            # One octave says only so much of the next: meet what photographs do half-way.
            seen = min(max(self.details[-1] / self.details[-2], 0.1), 1.5)
            ratio = (ratio * seen) ** 0.5
        return self.details[-1] * ratio ** (ahead + 1)

    def total(self, snr: float, octaves: int) -> float:
        """Return the error to expect of the whole picture at ``snr`` with ``octaves`` shut."""
        return self.error(snr) + self.unseen(octaves)


def decibel(error: float) -> float:
    """Return the PSNR in dB of a mean squared error in signal units."""
    return 10.0 * log10(SIGNAL_RANGE**2 / max(error, _LEAST_ERROR))
