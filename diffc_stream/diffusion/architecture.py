"""The architecture of a network, and the numbers that describe a noise level to it.

This module needs no framework.  Whatever runs the network (PyTorch, an ONNX runtime, a browser)
computes these numbers outside the graph, as this module does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

NOISE_FEATURES = 16
"""How many numbers describe a noise level to the network."""
SHAPE_FEATURES = 8
"""How many more numbers describe the ratio of a precision field, and how many its share."""
MAP_RANGE = 4.0
"""Logarithms of a map's values are clipped to this absolute value for the network."""

MOST_LEVELS = 6
MOST_CHANNELS = 1024
MOST_BLOCKS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What it takes, in addition to the weights, to rebuild a network.

    Raises ValueError for values that make no network, or one that is too large for a model file.
    """

    widths: tuple[int, ...] = (48, 96, 192)
    """Channels per level; level i works at 1 / 2^(i+1) of the picture's sides."""
    blocks: tuple[int, ...] = (5, 2, 3)
    """Residual blocks per level, on the way down and again on the way up (once at the bottom)."""
    shaped: bool = False
    """Whether the network is told a precision field, not only the level of white noise."""

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.blocks) or not self.widths:
            raise ValueError("an architecture needs as many block counts as widths")
        if len(self.widths) > MOST_LEVELS:
            raise ValueError(f"{len(self.widths)} levels, more than {MOST_LEVELS}")
        if not all(1 <= width <= MOST_CHANNELS for width in self.widths):
            raise ValueError(f"widths {self.widths} are not between 1 and {MOST_CHANNELS}")
        if not all(0 <= count <= MOST_BLOCKS for count in self.blocks):
            raise ValueError(f"block counts {self.blocks} are not between 0 and {MOST_BLOCKS}")

    @property
    def channels(self) -> int:
        """Channels of the network's input: the observation's, and the map of a field."""
        return 4 if self.shaped else 3

    @property
    def features(self) -> int:
        """How many numbers describe the noise to the network."""
        return NOISE_FEATURES + 2 * SHAPE_FEATURES if self.shaped else NOISE_FEATURES

    def described(self) -> dict[str, object]:
        """Return the description in a model file.

        It leaves out what the first models did not have, so that their fingerprints stay the same.
        """
        described: dict[str, object] = {"widths": self.widths, "blocks": self.blocks}
        return {**described, "shaped": True} if self.shaped else described

    @property
    def multiple(self) -> int:
        """The sides of the network's input must be multiples of this many pixels."""
        return int(2 ** len(self.widths))

    @property
    def halo(self) -> int:
        """How many pixels beyond an aligned block can affect the network's output in the block.

        Blocks have sides of :attr:`multiple` pixels, and this number is a multiple of that, too.
        It follows from the 3x3 convolutions on all levels, two in each residual block.
        """
        reach = 1
        for count in self.blocks[:-1]:
            # Rounded up: half a cell of the next level needs a whole one.
            reach = -(-(reach + 2 * count) // 2)
        reach += 2 * self.blocks[-1]
        for count in reversed(self.blocks[:-1]):
            reach = 2 * reach + 2 * count
        reach = 2 * (reach + 1)
        return -(-reach // self.multiple) * self.multiple


def noise_features(log_snr: float) -> list[float]:
    """Describe the noise level ``log_snr`` (natural logarithm) by :data:`NOISE_FEATURES` numbers.

    The level is clamped to [-12, 12].  The first number is the level itself, the others are a
    cosine basis over this range.  Every number lies in [-1, 1].
    """
    u = (min(max(log_snr, -12.0), 12.0) + 12.0) / 24.0
    return [2.0 * u - 1.0] + [math.cos(math.pi * k * u) for k in range(1, NOISE_FEATURES)]


def field_features(level: float, ratio: float, share: float) -> list[float]:
    """Describe a precision field by NOISE_FEATURES + 2 * SHAPE_FEATURES numbers in [-1, 1].

    ``level`` is the natural logarithm of the precision that the finest detail has with a share of
    1.  ``ratio``, in [1/e, 1], is the precision of a scale over that of the next coarser one.
    ``share``, in [0, 1], is how much of the finest detail's precision is there.  Values out of
    range are clamped.
    """
    shape = [1.0 + math.log(min(max(ratio, 1 / math.e), 1.0)), math.sqrt(min(max(share, 0.0), 1.0))]
    return noise_features(level) + [
        number
        for u in shape
        for number in (2 * u - 1, *(math.cos(math.pi * k * u) for k in range(1, SHAPE_FEATURES)))
    ]
