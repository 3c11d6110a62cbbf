"""The sender's comparison of a picture with a reference: what has changed, and what to trust.

Anything here can change without a new format: the stream says what came of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray

from diffc_stream.container.reference import MOST_TRUST
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.trust import Stated, Trust, cell_octave, cells, code

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

WORTH_USING = 0.95
"""A reference is used if it leaves at most this share of the error open, on an average of rates and
of scales, weighted by the bits that they take."""
_LEVELS = (4.0, 32.0)
"""Precisions of the observation, relative to the picture's own, at which the error is compared."""
_SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.94, 0.97, 1.0)
"""Shares of the cells that are tried as unchanged: the ones that differ least."""
_NOTICED = 0.05
"""Standard deviation of differences that matter, in signal units: three grey levels."""
_TINY = 1e-6
"""Smaller differences are only rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class _Scale:
    """Second moments of a scale of the picture (x) and of the reference (r), for each place."""

    xx: Floats
    xr: Floats
    rr: Floats
    count: int
    """How many values the scale has."""

    @property
    def differences(self) -> Floats:
        differences: Floats = self.xx - 2 * self.xr + self.rr
        return np.maximum(differences, np.float32(_TINY), out=differences)

    def within(self, trusted: Floats) -> tuple[float, float, float]:
        """Return the moments' means over the places that are trusted, 0 to 1 each."""
        xx, xr, rr = (
            float(np.average(part, weights=trusted)) for part in (self.xx, self.xr, self.rr)
        )
        return xx, xr, rr


class Comparison:
    """A picture and a reference, scale by scale and cell by cell.

    ``picture`` and ``reference`` are octaves, finest first, (3, H, W) each, of the same sizes; the
    reference may lack the finest ones.
    """

    def __init__(self, picture: Sequence[Floats], reference: Sequence[Floats | None]) -> None:
        self._sizes = [(x.shape[1], x.shape[2]) for x in picture]
        self._scales = [_moments(x, r) for x, r in zip(picture, reference, strict=True)]
        self._scales[-1] = _band(picture[-1][None], _there(reference[-1])[None])
        self._order = _order(self._scales, self._sizes)

    def trusts(self, shares: Sequence[float]) -> Iterator[tuple[Trust, float]]:
        """Yield how far to trust the reference if it is of use in a share of the cells, 0 to 1.

        Those are the cells that differ least.  Beside it is the share of the error that is left.
        """
        counts = {max(1, round(share * self._order.size)) for share in shares}
        for count in sorted(counts):
            trust, left = _tried(self._scales, self._order >= count, self._sizes)
            if len(trust.encode()) <= MOST_TRUST:
                yield trust, left


def compared(picture: Sequence[Floats], reference: Sequence[Floats | None]) -> Trust | None:
    """Return how far to trust ``reference``, or None if it is of no use.

    Both are as for :class:`Comparison`.
    """
    best, least = None, WORTH_USING
    for trust, left in Comparison(picture, reference).trusts(_SHARES):
        if left < least:
            best, least = trust, left
    return best


def _there(octave: Floats | None) -> Floats:
    assert octave is not None
    return octave


def _moments(x: Floats, r: Floats | None) -> _Scale | None:
    return None if r is None else _band(octaves.details(x), octaves.details(r))


def _band(x: Floats, r: Floats) -> _Scale:
    def mean(products: Floats) -> Floats:
        result: Floats = products.mean(axis=(0, 1), dtype=np.float32)
        return result

    return _Scale(xx=mean(x * x), xr=mean(x * r), rr=mean(r * r), count=x.size)


def _order(scales: Sequence[_Scale | None], sizes: Sequence[octaves.Size]) -> NDArray[np.intp]:
    """Return each cell's place in the order from the least different to the most."""
    size, cell = cells(sizes), cell_octave(sizes)
    worst = np.full(size, -np.inf, np.float32)
    for scale, moments in enumerate(scales):
        if moments is None:
            continue
        differences = moments.differences
        octave = min(scale + 1, len(sizes) - 1)
        for _ in range(octave, cell):
            differences = octaves.means(differences[None])[0]
        if octave > cell:
            side = 2 ** (octave - cell)
            differences = np.repeat(np.repeat(differences, side, axis=0), side, axis=1)
            differences = differences[: size[0], : size[1]]
        usual = max(float(np.quantile(differences, 0.25)), _TINY)
        worst = np.maximum(worst, np.log2(differences / usual))
    order = np.empty(worst.size, np.intp)
    order[np.argsort(worst, axis=None, kind="stable")] = np.arange(worst.size)
    return order.reshape(size)


def _tried(
    scales: Sequence[_Scale | None], changed: Mask, sizes: Sequence[octaves.Size]
) -> tuple[Trust, float]:
    """Return the trust if some cells have ``changed``, and the share of the error it leaves."""
    unknown = Trust((0,) * len(scales), changed, tuple(sizes))
    codes, left, whole = [], 0.0, 0.0
    for scale, moments in enumerate(scales):
        variance = 1.0 if moments is None else float(moments.xx.mean())
        stated, share = 0, 1.0
        if moments is not None:
            stated, share = _coded(moments, unknown.trusted(scale), variance)
        codes.append(stated or code(variance, np.inf))
        # As many bits as the scale would take without the reference, about.
        bits = 0.0 if moments is None else moments.count * log2(1 + variance / _NOTICED**2)
        left += share * bits
        whole += bits
    return Trust(tuple(codes), changed, tuple(sizes)), left / whole if whole else 1.0


def _coded(moments: _Scale, trusted: Floats, variance: float) -> tuple[int, float]:
    """Return the code of a scale, 0 if it is not trusted, and the share of the error it leaves."""
    if not trusted.any():
        return 0, 1.0
    xx, xr, rr = moments.within(trusted)
    if xr <= 0 or variance < _TINY:
        return 0, 1.0
    differences = max(xx - 2 * xr + rr, _TINY)
    related = min(xr * xr / (xx * rr), 1.0)
    chosen = code(variance, max(differences, xx * (1 - related) / related))
    stated = Stated.by(chosen)
    if stated.difference is None:
        return 0, 1.0
    place = float(trusted.mean())
    first = stated.weight(0.0)
    energy = place * xx / variance
    before = (xx - 2 * first * xr + first * first * rr) / xx
    shares = [energy * before + 1 - energy]
    for level in _LEVELS:
        weight = stated.weight(level / variance)
        after = (1 - weight) ** 2 + weight * weight * differences / stated.own(level / variance)
        shares.append(place * after + 1 - place)
    return chosen, sum(shares) / len(shares)
