"""The receiver's forecast of its own picture's error, which costs no bytes.

It predicts the PSNR of a picture from the stream alone, without the original.  A step that gains
delta for an error of energy |e|^2 takes the sender n = D/2 log2(1 + delta |e|^2 / D) bits.  Read
backwards, the length of a step states the error of the estimate that it started from, and the
length of an opening states the energy of the detail that was missing.  The error of the newest
picture is extrapolated from there: error falls with a power of snr, detail by a ratio per octave.

All errors here are mean squares per value in signal units (the signal has a range of 4).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log, log10

from diffc_stream.diffusion.observation import opened_snr
from diffc_stream.diffusion.trust import Trust

SIGNAL_RANGE = 4.0

_USUAL_SLOPE = 0.5
_USUAL_RATIO = 0.67
"""Missing detail of an octave, relative to that of the next coarser one, on photographs.  This and
the next constant are for renderings, whose values must not change."""
_UNSEEN_AT_FIRST = 0.1
"""Missing detail, on photographs, as long as no opening has stated any."""
_UNSEEN_RATIO = 0.95
"""The same ratio for octaves that are not yet open, while the coarser one is not known either."""
_UNSEEN_BEFORE_ALL = 0.08
_RATIO_BEFORE_ALL = 0.9
"""Missing detail of the next octave, and its ratio from octave to octave, as long as no opening has
stated any."""
_RELATED = 0.5
"""Error of the first estimate, relative to that of independent values: neighbours are related."""
DETAIL_SHARE = 0.75
"""Three of four values of an octave are detail."""
_SHRINKAGE = 0.57
_STARTED_SLOPE = 0.05
"""The error falls with this power of snr while a reference knows more than the stream: what is left
is mostly the reference's own error, of which no denoiser explains anything."""
_STARTED_MORE = 1.2
"""What a reference leaves open, relative to what its trust says, which is in steps of 3 dB."""
_LEAST_ERROR = 1e-9
"""Smaller errors are only rounding.  (A step for an error of zero would state 0.)"""
_WITHIN = 1.2
"""Factor, up or down, within which the error of the open octaves is on nine of ten photographs."""
_WITHIN_STARTED = 1.4
"""The same factor with a reference."""
_WITHIN_MORE = 0.3
"""Added to that factor per octave that is not yet open, for the detail in those octaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The expected error of a picture, and the range it is in on nine of ten photographs."""

    error: float
    least: float
    most: float

    def mixed(self, other: Expected, share: float) -> Expected:
        """Return what to expect after ``share`` of the way to ``other``, 0 to 1."""
        return Expected(
            error=(1.0 - share) * self.error + share * other.error,
            least=(1.0 - share) * self.least + share * other.least,
            most=(1.0 - share) * self.most + share * other.most,
        )

    def worse(self, lost: float) -> Expected:
        """Return what to expect if ``lost`` was never heard of what steps have brought."""
        return Expected(
            error=self.error + lost,
            least=self.least + lost / _WITHIN,
            most=self.most + lost * _WITHIN,
        )

    @property
    def psnr(self) -> float:
        """The PSNR in dB."""
        return decibel(self.error)

    @property
    def psnr_range(self) -> tuple[float, float]:
        """The lowest and the highest PSNR of that range, in dB."""
        return decibel(self.most), decibel(self.least)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the steps so far tell about the error; :meth:`total` is the error to expect."""

    anchor: tuple[float, float] = (0.0, 1.0)
    """(snr, error) of the last estimate whose error was stated."""
    slope: float = _USUAL_SLOPE
    """The error falls with this power of snr."""
    details: tuple[float, ...] = ()
    """Energy per value of the detail that each opening said was missing, coarsest octave first."""
    ratio: float = 1.0
    """The ratio of the observation's precision field: how its noise is shaped."""
    unknown: tuple[float, ...] | None = None
    """With a reference: what it leaves open of the detail of each scale, finest first."""

    @classmethod
    def beginning(cls, ratio: float, trust: Trust | None = None) -> Forecast:
        """Return the forecast before the first step, if a reference has as much ``trust``."""
        if trust is None:
            return cls(ratio=ratio)
        *details, low = (trust.missing(scale) for scale in range(len(trust.codes)))
        unknown = tuple(_STARTED_MORE * detail for detail in details)
        return cls(ratio=ratio, anchor=(0.0, low), slope=_STARTED_SLOPE, unknown=unknown)

    def seconded(self, trust: Trust) -> Forecast:
        """Return the forecast with another second estimate, which has as much ``trust``.

        What steps have stated stays: it was about the estimate with the one before.
        """
        begun = self.beginning(self.ratio, trust)
        return replace(self, unknown=begun.unknown) if self.anchor[0] else begun

    def refined(self, *, snr: float, stated: float) -> Forecast:
        """Return the forecast after a refinement says that the estimate at ``snr`` had an error.

        ``stated`` is that error: the mean of squares weighted by the precision of the observation,
        relative to snr.
        """
        stated = max(self.plain(stated, snr), _LEAST_ERROR)
        slope, (before, error) = self.slope, self.anchor
        if snr > 1.05 * before > 0.0:
            seen = log(error / stated) / log(snr / before)
            least = 0.2 if self.unknown is None else 0.0
            slope = 0.5 * slope + 0.5 * min(max(seen, least), 0.9)
        return replace(self, anchor=(snr, stated), slope=slope)

    def opened(self, *, snr: float, stated: float) -> Forecast:
        """Return the forecast after the opening of an octave that is now observed at ``snr``.

        ``stated`` is the energy per value that the missing detail had, according to the opening.
        """
        stated = max(stated, _LEAST_ERROR)
        # The observation explains part of the detail.  A denoiser, which sees the values together,
        # explains more of it than each value alone does.
        shrinkage = _SHRINKAGE if self.unknown is None else 1.0
        left = shrinkage * DETAIL_SHARE * stated / (1.0 + snr * stated)
        before = self.error(snr / opened_snr(1.0, self.ratio))
        return replace(
            self,
            anchor=(snr, before + left),
            slope=_USUAL_SLOPE if self.unknown is None else _STARTED_SLOPE,
            details=(*self.details, stated),
        )

    def plain(self, stated: float, snr: float) -> float:
        """Return the unweighted error of an estimate at ``snr`` whose weighted error is ``stated``.

        The difference depends on how the error spreads over scales, which the missing detail of
        each opening tells: detail of variance v, observed at a precision p, has an error of
        1 / (p + 1 / v) per value.
        """
        if self.ratio == 1.0:
            return stated
        weighted = total = 0.0
        for scale, variance in enumerate((*reversed(self.details), None)):
            weight = self.ratio**-scale
            # Seen in the finest octave, coefficients double with every octave that is coarser.
            share = 4.0**-scale if variance is None else DETAIL_SHARE * 4.0**-scale
            known = 0.0 if variance is None else 1.0 / max(variance * 4.0**scale, _LEAST_ERROR)
            error = share / (max(snr, _LEAST_ERROR) * weight + known)
            weighted += weight * error
            total += error
        return stated * total / weighted

    def error(self, snr: float) -> float:
        """Return the expected error of the estimate at ``snr``, in the octave observed."""
        before, error = self.anchor
        if before == 0.0:
            # Treats values as independent: nothing is known yet about their dependence.
            return error / (1.0 + snr * error)
        return float(error * (before / snr) ** self.slope)

    def known(self, snr: float) -> float:
        """Return the expected error of the picture in the observed octave at ``snr``.

        It is less than :meth:`error` as long as no step has stated the error of an estimate.
        """
        first = self.anchor[0] == 0.0 and snr > 0.0 and self.unknown is None
        return _RELATED * self.error(snr) if first else self.error(snr)

    def unseen(self, octaves: int) -> float:
        """Return the expected energy of the detail in the next ``octaves``, not yet open.

        This is the error per value of the whole picture that remains when the estimate is enlarged.
        """
        if self.unknown is not None:
            return DETAIL_SHARE * sum(self.unknown[:octaves])
        detail, ratio = _UNSEEN_BEFORE_ALL / _RATIO_BEFORE_ALL, _RATIO_BEFORE_ALL
        if self.details:
            detail, ratio = self.details[-1], self._ratio(_UNSEEN_RATIO)
        return sum(DETAIL_SHARE * detail * ratio ** (ahead + 1) for ahead in range(octaves))

    def missing(self, ahead: int) -> float:
        """Return the expected energy per value of the detail ``ahead`` + 1 octaves from here."""
        if self.unknown is not None:
            return self.unknown[len(self.unknown) - len(self.details) - 1 - ahead]
        if not self.details:
            return _UNSEEN_AT_FIRST * _USUAL_RATIO**ahead
        return self.details[-1] * self._ratio(_USUAL_RATIO) ** (ahead + 1)

    def _ratio(self, usual: float) -> float:
        """Return the expected ratio from octave to octave; ``usual`` is that of photographs."""
        if len(self.details) < 2:
            return usual
        # One octave is weak evidence for the next: average with what photographs do.
        seen = min(max(self.details[-1] / self.details[-2], 0.1), 1.5)
        return float((usual * seen) ** 0.5)

    def expected(self, snr: float, octaves: int) -> Expected:
        """Return the expected error of the whole picture at ``snr``, ``octaves`` not yet open."""
        known, unseen = self.known(snr), self.unseen(octaves)
        far = _WITHIN + _WITHIN_MORE * octaves
        near = _WITHIN if self.unknown is None else _WITHIN_STARTED
        near = far if self.anchor[0] == 0.0 else near
        return Expected(
            error=known + unseen,
            least=known / near + unseen / far,
            most=known * near + unseen * far,
        )


def decibel(error: float) -> float:
    """Return the PSNR in dB of a mean squared error in signal units."""
    return 10.0 * log10(SIGNAL_RANGE**2 / max(error, _LEAST_ERROR))
