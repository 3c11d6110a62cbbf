"""The noisy observation of the picture that sender and receiver share.

It holds everything that both ends know of the picture x: the picture times its precision, plus
noise

    eta = P x + P^(1/2) n,    n ~ N(0, I)

The precision P, the inverse variance of the noise, starts at 0, where eta = 0 and nothing is known,
and every step of a stream increases it.  P is diagonal in the Haar transform of the octave observed
(for white noise, P = snr I, no transform is needed), and its entries are those of a precision field
(:mod:`~diffc_stream.diffusion.field`).

This is the diffusion state of Theis et al. (arXiv 2206.08889, section 3) in other coordinates: for
white noise, with alpha^2 = snr / (1 + snr) and sigma^2 = 1 / (1 + snr), their
z = alpha x + sigma n is eta * sigma / sqrt(snr).  The coordinates used here are convenient because
independent observations of the same x simply add up.

A *refinement* adds a new observation of precision D = delta / snr P.  Let x_hat be the posterior
mean, which both ends know, and e = x - x_hat its error.  In units of the new observation's noise,
and relative to what the receiver expects,

    posterior  q = N(D^(1/2) e, I)        prior  p = N(0, I)
    eta <- eta + D x_hat + D^(1/2) y,     snr <- snr + delta

where y is the sample that reverse channel coding transmits, which costs at least
KL(q || p) = |D^(1/2) e|^2 / 2 nats.  In DDPM and VDM these are q(z_s | z_t, x) and p(z_s | z_t).

*Opening* an octave keeps what is known and adds dimensions.  The values of the coarse octave are
half of the finer octave's low band, and therefore observed there at a quarter of their precision.
The three detail bands, of which nothing was known, get the precision that the field gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, log, prod, sqrt

import numpy as np
from numpy.typing import NDArray

from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.field import (
    WHITE,
    Field,
    Precision,
    dimensions,
    shapes,
    transformed,
    untransformed,
)

Floats = NDArray[np.float32]
Held = Callable[[Floats, float], Floats]
"""A function that takes the noisy picture u and its snr, and returns u with a part restored."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Observation:
    """What is known of octave ``octave``, at ``snr`` >= 0 and with the precisions of ``field``."""

    bands: tuple[Floats, ...]
    """eta: detail (bands, 3, h, w), the finest first, and the low band (3, h, w).

    With white noise there is no transform, and the low band is the octave itself.
    """
    snr: float
    """Signal-to-noise ratio of the finest detail (with a share of 1)."""
    octave: int
    size: octaves.Size
    """(height, width) of the octave observed."""
    field: Field = WHITE
    origin: Observation | None = None
    """The observation that this one was opened from.  None for white noise, and as soon as more has
    become known of the octaves seen there."""

    @classmethod
    def nothing(cls, size: octaves.Size, octave: int, *, field: Field = WHITE) -> Observation:
        """Return an observation without any information, of an octave of ``size``."""
        eta = np.zeros((octaves.CHANNELS, *size), np.float32)
        return cls(bands=(eta,), snr=0.0, octave=octave, size=size, field=field)

    @classmethod
    def white(cls, eta: Floats, snr: float, octave: int) -> Observation:
        """Return an observation with white noise: eta (3, H, W) = snr x + sqrt(snr) n."""
        return cls(bands=(eta,), snr=snr, octave=octave, size=(eta.shape[1], eta.shape[2]))

    @property
    def eta(self) -> Floats:
        """snr times the noisy picture, (3, H, W); for white noise that is eta itself.

        Finest detail of which only a share is known is multiplied by that share.  For shaped noise
        this is computed anew each time: keeping the result of a large picture takes much memory.
        """
        if self.field.isotropic:
            return self.bands[0]
        relative = self.field.precisions(self._scales, whole=True)
        scaled = [
            band if np.array_equal(whole, 1) else band / whole
            for band, whole in zip(self.bands, relative, strict=True)
        ]
        return untransformed(scaled, self.size)

    @property
    def dimensions(self) -> int:
        """Number of values that a refinement codes."""
        return dimensions(self.size, self._scales)

    @property
    def log_snr(self) -> float:
        """ln snr, minus infinity at snr 0."""
        return log(self.snr) if self.snr else -float("inf")

    def z(self) -> Floats:
        """Return the variance-preserving form alpha x + sigma n, shape (3, H, W)."""
        return variance_preserving(self.eta, self.snr)

    def scaled(self, x: Floats) -> Floats:
        """Return ``x`` (3, H, W) in units of the noise of a refinement with delta 1, shape (D,)."""
        if self.field.isotropic:
            return x.reshape(-1)
        bands = [
            np.sqrt(relative) * band
            for band, relative in zip(self._transformed(x), self._relative, strict=True)
        ]
        return np.concatenate([band.reshape(-1) for band in bands])

    def refined(self, x_hat: Floats, y: Floats, delta: float, received: float = 1.0) -> Observation:
        """Add an observation of signal-to-noise ratio ``delta``.

        ``x_hat`` is the posterior mean, (3, H, W), and ``y`` the sample around it, (D,), in the
        units of :meth:`scaled`.  If only the fraction ``received`` of a rotated y has arrived, with
        zeros for the rest, the observation gains that fraction of delta.  Finest detail of which
        only a share was known gains as much as if all of it had been.
        """
        gained, root = np.float32(received * delta), np.float32(sqrt(delta))
        summed = []
        whole = self.field.precisions(self._scales, whole=True)
        bands = zip(self.bands, self._transformed(x_hat), self._cut(y), whole, strict=True)
        for before, known, new, relative in bands:
            eta = np.empty_like(before)
            # Part by part, because each array of a large picture takes much memory.
            for sum_, part, known_part, new_part in zip(eta, before, known, new, strict=True):
                np.add(part, (gained * relative) * known_part, out=sum_)
                np.add(sum_, (root * np.sqrt(relative)) * new_part, out=sum_)
            summed.append(eta)
        snr = self.snr + received * delta
        field = self.field
        if field.share < 1.0 and snr:
            field = field.shared((field.share * self.snr + received * delta) / snr)
        return replace(self, bands=tuple(summed), snr=snr, field=field, origin=None)

    def opened(
        self,
        bands: Floats,
        y: Floats,
        size: octaves.Size,
        *,
        received: float = 1.0,
        sent: float | None = None,
        cells: Floats | None = None,
    ) -> Observation:
        """Add the detail of the next finer octave, of ``size``.

        ``bands`` is the prediction of the detail bands and ``y`` the sample around it, both of
        shape (3, 3, H, W).  If only the fraction ``received`` of a rotated y has arrived, detail
        has that share of its precision.  White noise cannot express this: there, the missing part
        is set to its prediction, as if that had no noise.  ``sent`` is the snr of y, if that
        is another than :attr:`opened_snr` because parts of earlier steps are lost.  ``cells`` is
        the map of the finer octave, if the field has one.
        """
        snr = self.opened_snr
        share = 1.0 if self.field.isotropic else received
        root = sqrt(snr)
        if sent is not None and sent != snr:
            share = min(1.0, share * sent / snr)
            root = share * snr / sqrt(sent) / (1.0 if self.field.isotropic else received)
        places: Precision = np.float32(1.0)
        if cells is not None:
            places = octaves.means(cells[None])[0]
        detail: Floats = (np.float32(share * snr) * places) * bands
        for band, new in zip(detail, y, strict=True):
            np.add(band, (np.float32(root) * np.sqrt(places)) * new, out=band)
        return self._finer(detail, size, share=share, cells=cells)

    def widened(self, size: octaves.Size, *, cells: Floats | None = None) -> Observation:
        """Go on to the next finer octave, of ``size``, without knowing anything of its detail.

        Only for shaped noise, which can express this; ``cells`` is as in :meth:`opened`.
        """
        shape = (octaves.BANDS, octaves.CHANNELS, *octaves.coarser(size))
        return self._finer(np.zeros(shape, np.float32), size, share=0.0, cells=cells)

    def _finer(
        self, detail: Floats, size: octaves.Size, *, share: float, cells: Floats | None
    ) -> Observation:
        white = self.field.isotropic
        half = [eta * np.float32(0.5) for eta in self.bands]
        if 0.0 < self.field.share < 1.0:
            # A field has a share for the finest detail only.  What is lost of this detail for good
            # is taken for known from now on, at what was observed of it.
            half[0] /= np.float32(self.field.share)
        return Observation(
            bands=(octaves.synthesis(half[0], detail, size),) if white else (detail, *half),
            snr=self.opened_snr,
            octave=self.octave - 1,
            size=size,
            field=replace(self.field, share=share, cells=cells),
            origin=None if white else self,
        )

    def coarser(self) -> Observation | None:
        """Return the observation of the next coarser octave that this one contains.

        None if there is no coarser one, or if noise is white: then octaves are not kept apart.
        """
        if self.field.isotropic or not self._scales:
            return None
        if self.origin is not None:
            return self.origin
        cells = self.field.cells
        return Observation(
            bands=tuple(eta * np.float32(2) for eta in self.bands[1:]),
            snr=self.snr / opened_snr(1.0, self.field.ratio),
            octave=self.octave + 1,
            size=octaves.coarser(self.size),
            field=Field(
                ratio=self.field.ratio,
                cells=None if cells is None else octaves.means(cells[None])[0],
            ),
        )

    def joined(self, fine: Floats, coarse: Floats, *, trusted: Floats | None = None) -> Floats:
        """Join an estimate of this octave with one of the next coarser octave.

        Detail is taken from the fine estimate.  Means are taken from the coarse one as long as no
        detail is observed, and two thirds from it when all detail is observed: each estimate sees
        what the other overlooks (docs/decisions/0029).  ``trusted``, (h, w) of the coarse octave,
        says how far the coarse estimate knows more than both, 0 to 1.
        """
        own: Precision = np.float32(self.field.share / 3)
        if trusted is not None:
            own = own * (1 - trusted)
        low = octaves.means(fine)
        low *= own
        low += (1 - own) * coarse
        low *= np.float32(2)
        return octaves.synthesis(low, octaves.details(fine), self.size)

    @property
    def opened_snr(self) -> float:
        """The snr that the next finer octave will have when it opens."""
        return opened_snr(self.snr, self.field.ratio)

    def moved(
        self, ahead: Floats, snr: float, *, share: float = 1.0, held: Held | None = None
    ) -> Observation:
        """Follow the probability flow to ``snr`` and ``share``, neither below its present value.

        ``ahead`` is the posterior mean, (3, H, W), in the middle of the way.  The distance of the
        noisy picture u = eta / P from it shrinks as the noise does: du / d ln s = u - x_hat for
        every coefficient, where s is the standard deviation of its noise.  Then ``held``, if given,
        restores the part that is not to change.
        """
        field = self.field.shared(share)
        shares = [share / self.field.share, *[1.0] * self._scales]
        moved = []
        bands = zip(self.bands, self._transformed(ahead), self._relative, shares, strict=True)
        for eta, known, relative, more in bands:
            keep = np.float32(exp(-0.5 * log(snr / self.snr * more)))
            old, new = np.float32(self.snr) * relative, np.float32(snr * more) * relative
            u = np.empty_like(eta)
            for moved_part, part, known_part in zip(u, eta, known, strict=True):
                moved_part[:] = keep * (part / old) + (1 - keep) * known_part
            if held:
                u = held(u, snr)
            u *= new
            moved.append(u)
        origin = self.origin if snr == self.snr else None
        return replace(self, bands=tuple(moved), snr=snr, field=field, origin=origin)

    def begun(self, bands: Floats, noise: Floats, share: float) -> Observation:
        """Return the observation with ``share`` of the finest detail, of which nothing was known.

        ``bands`` is the prediction of that detail, ``noise`` its noise in units of the
        observation's.
        """
        whole = self.field.precisions(self._scales, whole=True)[0]
        precision = np.float32(share * self.snr) * whole
        detail = (precision * bands + np.sqrt(precision) * noise).astype(np.float32, copy=False)
        field = self.field.shared(share)
        return replace(self, bands=(detail, *self.bands[1:]), field=field)

    def noise_variance(self, x: Floats) -> float:
        """Return the variance of P^(-1/2) (eta - P x), 1 for an ideal observation of x."""
        total, count = 0.0, 0
        bands = zip(self.bands, self._transformed(x), self._relative, strict=True)
        for known, true, relative in bands:
            precision = np.float32(self.snr) * relative
            # Part by part, because each array of a large picture takes much memory.
            for known_part, true_part in zip(known, true, strict=True):
                noise = (known_part - precision * true_part) / np.sqrt(precision)
                total += float(np.square(noise, dtype=np.float64).sum())
            count += known.size
        return total / count

    @property
    def _scales(self) -> int:
        return len(self.bands) - 1

    @cached_property
    def _relative(self) -> list[Precision]:
        return self.field.precisions(self._scales)

    def _transformed(self, x: Floats) -> Sequence[Floats]:
        return transformed(x, self._scales) if self._scales else (x,)

    def _cut(self, y: Floats) -> list[Floats]:
        """Cut ``y`` (D,) into bands."""
        y, first, result = y.reshape(-1), 0, []
        for shape in shapes(self.size, self._scales):
            result.append(y[first : first + prod(shape)].reshape(shape))
            first += prod(shape)
        return result


def opened_snr(snr: float, ratio: float) -> float:
    """Return the snr of an octave that is opened while the one before it is observed at ``snr``."""
    return snr * ratio / 4


def variance_preserving(eta: Floats, snr: float) -> Floats:
    """Return z = eta * sigma / sqrt(snr) with sigma^2 = 1 / (1 + snr); zeros at snr 0."""
    return eta * np.float32(1 / sqrt(snr * (1 + snr)) if snr else 0.0)
