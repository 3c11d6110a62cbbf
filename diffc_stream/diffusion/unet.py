"""The learned denoiser's network: a residual U-Net without normalisation.

It works on the pixel-unshuffled picture (2x2 pixels become channels), because what a denoiser needs
is mostly a pixel's neighbourhood, and neighbourhoods are cheaper at half size.  There is no
GroupNorm: its reductions over whole feature maps differ between runtimes, and sender and receiver
may run different ones.  For the same reason the noise level enters as features computed outside the
graph (sines of large arguments differ between devices).

The network predicts v = alpha * n - sigma * x (Salimans & Ho, "Progressive Distillation",
arXiv 2202.00512, appendix D) from z = alpha * x + sigma * n, the variance-preserving form of
the observation (:mod:`diffc_stream.diffusion.observation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffc_stream.diffusion.architecture import Architecture

_FILM_WIDTH = 64


class ResidualBlock(nn.Module):
    """x + conv(relu(scale * conv(x) + shift)); scale and shift depend on the noise level."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.film = nn.Linear(_FILM_WIDTH, 2 * width)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)
        # Without normalisation, a deep residual network learns only if its branches start small.
        with torch.no_grad():
            self.conv2.weight.mul_(0.1)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """Refine ``x`` (N, width, H, W) for a noise level ``level`` (N, film width)."""
        scale, shift = self.film(level)[:, :, None, None].chunk(2, dim=1)
        h = F.relu(self.conv1(x) * (1.0 + scale) + shift)
        refined: Tensor = x + self.conv2(h)
        return refined


class UNet(nn.Module):
    """Predict v from z and the features of its noise level."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        widths, blocks = architecture.widths, architecture.blocks

        def stage(width: int, count: int) -> nn.ModuleList:
            return nn.ModuleList(ResidualBlock(width) for _ in range(count))

        pairs = list(pairwise(widths))
        self.level = nn.Sequential(
            nn.Linear(architecture.features, _FILM_WIDTH),
            nn.SiLU(),
            nn.Linear(_FILM_WIDTH, _FILM_WIDTH),
            nn.SiLU(),
        )
        self.stem = nn.Conv2d(4 * architecture.channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            stage(w, n) for w, n in zip(widths[:-1], blocks[:-1], strict=True)
        )
        self.shrink = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairs)
        self.bottom = stage(widths[-1], blocks[-1])
        self.grow = nn.ModuleList(nn.Conv2d(coarse, 4 * fine, 1) for fine, coarse in pairs)
        self.up = nn.ModuleList(stage(w, n) for w, n in zip(widths[:-1], blocks[:-1], strict=True))
        self.head = nn.Conv2d(widths[0], 12, 3, padding=1)

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        """Predict v.

        ``z`` has shape (N, architecture.channels, H, W), H and W multiples of
        ``architecture.multiple``, unit variance; ``features`` has shape (N,
        architecture.features).  Returns (N, 3, H, W).
        """
        level = self.level(features)
        x = self.stem(F.pixel_unshuffle(z, 2))
        skips: list[Tensor] = []
        for stage, shrink in zip(self.down, self.shrink, strict=True):
            x = _run(stage, x, level)
            skips.append(x)
            x = shrink(x)
        x = _run(self.bottom, x, level)
        for index in reversed(range(len(skips))):
            x = F.pixel_shuffle(self.grow[index](x), 2) + skips[index]
            x = _run(self.up[index], x, level)
        return F.pixel_shuffle(self.head(x), 2)


def _run(stage: Sequence[nn.Module] | nn.Module, x: Tensor, level: Tensor) -> Tensor:
    assert isinstance(stage, nn.ModuleList)
    for block in stage:
        x = block(x, level)
    return x
