"""Precision fields to train on: random shapes and maps of the noise in an observation.

A field gives every coefficient of a crop's Haar transform a precision, the inverse variance of
its noise.  With the level s, the ratio g, the share f and the map m of a field, detail of scale l
(0 the finest of n) and the low band that remains after n scales have

    p_0 = f e^s m_1,    p_l = e^s g^-l m_(l+1)    for 0 < l < n,    p_low = e^s g^-n m_n

where m_k is the k-th octave of the map, the means of its blocks of 2^k pixels.  White noise of one
level is the field g = f = m = 1.  The network's input from an observation is

    z = alpha (x + T^-1 (p / q) noise),   alpha^2 = e^s m / (1 + e^s m),

where q is p at f = 1: finest detail that is known to a share is scaled by that share, so that the
input stays bounded where nothing is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

RATIO = 0.6
"""The precision of a scale over that of the next coarser one, as in the codec's streams."""
SMALLEST_SIDE = 4
"""Crops are transformed until the low band has this side."""
CODED_SIDE = 16
"""Octaves of the codec are transformed at least until the low band has this side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The precision fields of a batch of N crops of side S."""

    levels: Tensor
    """s, natural logarithms, (N,)."""
    ratios: Tensor
    """g, in (0, 1], (N,)."""
    shares: Tensor
    """f, in [0, 1], (N,)."""
    maps: Tensor
    """m, positive, (N, 1, S, S)."""
    scales: int
    """n, the same for all crops of a batch."""

    def to(self, device: torch.device) -> Fields:
        """Return the fields on ``device``."""
        return Fields(
            levels=self.levels.to(device),
            ratios=self.ratios.to(device),
            shares=self.shares.to(device),
            maps=self.maps.to(device),
            scales=self.scales,
        )

    def precisions(self, *, whole: bool = False) -> list[Tensor]:
        """Return p of every scale, finest detail first, the low band last: (N, 1, S / 2^k, ...).

        ``whole``: q, as if all of the finest detail were there.
        """
        low = self.levels.exp().view(-1, 1, 1, 1) * self.maps
        result = []
        for _ in range(self.scales):
            low = F.avg_pool2d(low, 2)
            result.append(low)
            low = low / self.ratios.view(-1, 1, 1, 1)
        if result and not whole:
            result[0] = result[0] * self.shares.view(-1, 1, 1, 1)
        return [*result, low]

    def alpha(self) -> Tensor:
        """Return alpha at every pixel, (N, 1, S, S)."""
        return torch.sigmoid(self.levels.view(-1, 1, 1, 1) + self.maps.log()).sqrt()

    def observed(self, x: Tensor, noise: Tensor) -> Tensor:
        """Return z, (N, 3, S, S), of ``x`` like it; ``noise`` is white, of unit variance."""
        known = zip(bands(x, self.scales), bands(noise, self.scales), strict=True)
        levels = zip(known, self.precisions(), self.precisions(whole=True), strict=True)
        seen = [
            _over(p / q, signal) * signal + _over(p.sqrt() / q, signal) * white
            for (signal, white), p, q in levels
        ]
        return self.alpha() * picture(seen)

    def loss(self, error: Tensor) -> Tensor:
        """Return the mean of (1 + p) error^2 over coefficients: the rate that an error costs."""
        total = error.new_zeros(())
        for band, p in zip(bands(error, self.scales), self.precisions(), strict=True):
            total = total + ((1.0 + _over(p, band)) * band.square()).sum()
        return total / error.numel()


def uniform(levels: Tensor, side: int, *, ratio: float = RATIO) -> Fields:
    """Return uniform fields for crops of ``side``."""
    count = len(levels)
    return Fields(
        levels=levels,
        ratios=torch.full((count,), ratio),
        shares=torch.ones(count),
        maps=torch.ones(count, 1, side, side),
        scales=most_scales(side),
    )


def draw(levels: Tensor, side: int, rng: np.random.Generator) -> Fields:
    """Draw a field for each of ``levels``: mostly the codec's own, complete and uniform."""
    count = len(levels)
    kind = rng.random(count)
    ratios = np.where(kind < 0.92, RATIO, np.where(kind < 0.96, 1.0, rng.uniform(0.4, 1.0, count)))
    # A quarter of the incomplete shares are 0: an octave before any of its detail.
    part = np.where(rng.random(count) < 0.25, 0.0, np.exp(rng.uniform(-4.0, 0.0, count)))
    shares = np.where(rng.random(count) < 0.15, part, 1.0)
    maps = torch.cat([_map(side, rng) for _ in range(count)])
    fewest = max(0, int(math.log2(side / CODED_SIDE)))
    return Fields(
        levels=levels,
        ratios=torch.from_numpy(ratios).float(),
        shares=torch.from_numpy(shares).float(),
        maps=maps,
        scales=int(rng.integers(fewest, most_scales(side) + 1)),
    )


def most_scales(side: int) -> int:
    """Return the largest number of Haar transforms of a crop of ``side``."""
    return max(0, int(math.log2(side / SMALLEST_SIDE)))


def _map(side: int, rng: np.random.Generator) -> Tensor:
    """Draw a map, (1, 1, side, side): mostly 1, else slopes or a rectangle, e^-3 to e^3."""
    kind = rng.random()
    if kind < 0.96:
        return torch.ones(1, 1, side, side)
    if kind < 0.98:
        coarse = torch.from_numpy(rng.uniform(-2.0, 2.0, (1, 1, 3, 3))).float()
        return F.interpolate(coarse, (side, side), mode="bilinear", align_corners=True).exp()
    result = torch.full((1, 1, side, side), float(np.exp(rng.uniform(-1.0, 1.0))))
    # On the grid of blocks, as the cells of the codec are.
    block = max(1, side // 8)
    top, left = (block * int(rng.integers(0, 7)) for _ in range(2))
    height, width = (block * int(rng.integers(1, 8)) for _ in range(2))
    inside = result[..., top : top + height, left : left + width]
    inside *= float(np.exp(rng.uniform(-2.0, 2.0)))
    return result


def bands(x: Tensor, scales: int) -> list[Tensor]:
    """Return the orthonormal Haar transform of ``x`` (N, C, S, S).

    Detail of every scale, finest first, (N, 3, C, ...), and the low band, (N, C, ...).
    """
    result = []
    for _ in range(scales):
        a, b = x[..., 0::2, 0::2], x[..., 0::2, 1::2]
        c, d = x[..., 1::2, 0::2], x[..., 1::2, 1::2]
        result.append(torch.stack([a - b + c - d, a + b - c - d, a - b - c + d], 1) / 2)
        x = (a + b + c + d) / 2
    return [*result, x]


def picture(transformed: list[Tensor]) -> Tensor:
    """Invert :func:`bands`."""
    *details, x = transformed
    for detail in reversed(details):
        horizontal, vertical, diagonal = detail.unbind(1)
        corners = torch.stack(
            [
                x + horizontal + vertical + diagonal,
                x - horizontal + vertical - diagonal,
                x + horizontal - vertical - diagonal,
                x - horizontal - vertical + diagonal,
            ],
            2,
        )
        x = F.pixel_shuffle(corners.flatten(1, 2) / 2, 2)
    return x


def _over(precision: Tensor, band: Tensor) -> Tensor:
    """Shape a precision (N, 1, H, W) so that it multiplies ``band``."""
    return precision[:, None] if band.ndim == 5 else precision
