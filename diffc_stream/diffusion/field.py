"""Precision fields: how the noise of an observation is shaped.

White noise treats all detail alike.  It is better to observe coarse detail, which has most of a
picture's energy, more precisely than fine detail: this is what reverse water-filling, the optimum
for Gaussian sources, does (Cover and Thomas, "Elements of Information Theory", section 10.3.3), and
what makes "A*" and "F*" of Theis et al. (arXiv 2206.08889, section 4) better than "A" and "F".

*Precision* is the inverse variance of noise.  A field gives one to every coefficient of the Haar
transform (differences and means of neighbouring pixels, on several scales) of the octave observed.
With the signal-to-noise ratio snr, the ratio g, the share f and the map m of the octave's pixels,
detail of scale l (0 is the finest of n) and the low band that remains after n scales have

    p_0 = f snr m_1,    p_l = g^-l snr m_(l+1)    for 0 < l < n,    p_low = g^-n snr m_n

where m_k is the k-th octave of the map.  White noise, which is the same in every basis, is
g = f = m = 1; with g < 1, coarse detail is observed better than fine detail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from diffc_stream.diffusion import octaves

Floats = NDArray[np.float32]
Precision = np.float32 | Floats
"""Precision of a band: a number, or an array (H, W) with one for each place."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """A precision field of one octave, relative to the observation's signal-to-noise ratio."""

    ratio: float = 1.0
    """Precision of a scale over that of the next coarser scale, in (0, 1]."""
    share: float = 1.0
    """How much of the finest detail's precision is there, 0 to 1: less than 1 while its opening is
    under way."""
    cells: Floats | None = None
    """The map: a positive factor for each pixel of the octave, (H, W), or None for 1 everywhere."""

    @property
    def isotropic(self) -> bool:
        """Whether noise is white: of the same level everywhere, in every basis."""
        return self.ratio == 1.0 and self.cells is None

    def precisions(self, scales: int, *, whole: bool = False) -> list[Precision]:
        """Return the precision of every band, finest detail first, the low band last.

        They are relative to snr.  ``scales`` is how many times the octave is transformed.  With
        ``whole``, the share is taken as 1.
        """
        maps: list[Precision] = [np.float32(1.0) if self.cells is None else self.cells]
        for _ in range(scales):
            coarse = maps[-1]
            maps.append(
                octaves.means(coarse[None])[0] if isinstance(coarse, np.ndarray) else coarse
            )
        result = [np.float32(self.ratio**-scale) * places for scale, places in enumerate(maps[1:])]
        if result and not whole:
            result[0] = np.float32(self.share) * result[0]
        return [*result, np.float32(self.ratio**-scales) * maps[-1]]

    def shared(self, share: float) -> Field:
        """Return this field with another share of the finest detail's precision."""
        return replace(self, share=share)


WHITE = Field()


def transformed(x: Floats, scales: int) -> list[Floats]:
    """Return the Haar transform of ``x`` (3, H, W): detail, finest first, and then the low band.

    Detail has the shape (bands, 3, h, w), the low band (3, h, w).
    """
    result = []
    for _ in range(scales):
        result.append(octaves.details(x))
        x = octaves.means(x)
        x *= np.float32(2)
    return [*result, x]


def untransformed(bands: Sequence[Floats], size: octaves.Size) -> Floats:
    """Invert :func:`transformed` for a picture of ``size``."""
    sizes = [size]
    for _ in bands[2:]:
        sizes.append(octaves.coarser(sizes[-1]))
    *details, x = bands
    for detail, finer in zip(reversed(details), reversed(sizes), strict=False):
        x = octaves.synthesis(x, detail, finer)
    return x


def shapes(size: octaves.Size, scales: int) -> list[tuple[int, ...]]:
    """Return the shapes of the bands that :func:`transformed` gives of a picture of ``size``."""
    result: list[tuple[int, ...]] = []
    for _ in range(scales):
        size = octaves.coarser(size)
        result.append((octaves.BANDS, octaves.CHANNELS, *size))
    return [*result, (octaves.CHANNELS, *size)]


def dimensions(size: octaves.Size, scales: int) -> int:
    """Return the number of coefficients of a picture of ``size``, transformed ``scales`` times.

    If sides are odd there are more coefficients than values, because the border is repeated.
    """
    return sum(prod(shape) for shape in shapes(size, scales))
