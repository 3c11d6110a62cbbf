"""What is fixed about a network beside its weights, and how it is told a noise level.

No framework is needed to know it: whatever runs a network (PyTorch, an ONNX runtime, a browser)
computes the features of a noise level here, outside the graph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

NOISE_FEATURES = 16
"""How many numbers describe a noise level to the network."""
SHAPE_FEATURES = 8
"""How many more describe each of the ratio and the share of a precision field."""
MAP_RANGE = 4.0
"""Logarithms of a map are shown to the network up to this size."""

MOST_LEVELS = 6
MOST_CHANNELS = 1024
MOST_BLOCKS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What has to be known, beside the weights, to rebuild a network.

    Raises ValueError for what is no network, or larger than any that a model file may hold.
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
        """How many channels the network sees: the observation's, and the map of a field."""
        return 4 if self.shaped else 3

    @property
    def features(self) -> int:
        """How many numbers describe the noise to the network."""
        return NOISE_FEATURES + 2 * SHAPE_FEATURES if self.shaped else NOISE_FEATURES

    def described(self) -> dict[str, object]:
        """Return what a model file says: what the first models did not have goes unsaid."""
        described: dict[str, object] = {"widths": self.widths, "blocks": self.blocks}
        return {**described, "shaped": True} if self.shaped else described

    @property
    def multiple(self) -> int:
        """The network takes pictures whose sides are multiples of this many pixels."""
        return int(2 ** len(self.widths))

    @property
    def halo(self) -> int:
        """What is this many pixels away from a block of the network's alignment does not matter.

        A block has :attr:`multiple` pixels either way, and so has this number.  It counts the 3x3
        convolutions, two of which make a residual block, between the blocks of all levels.
        """
        reach = 1
        for count in self.blocks[:-1]:
            # Of an odd number of cells on this level the last one needs a whole one below.
            reach = -(-(reach + 2 * count) // 2)
        reach += 2 * self.blocks[-1]
        for count in reversed(self.blocks[:-1]):
            reach = 2 * reach + 2 * count
        reach = 2 * (reach + 1)
        return -(-reach // self.multiple) * self.multiple


def noise_features(log_snr: float) -> list[float]:
    """Describe the noise level ``log_snr`` (natural logarithm) by :data:`NOISE_FEATURES` numbers.

    The first is the level itself, the others a cosine basis over [-12, 12], beyond which the
    level is clamped.  Every value lies in [-1, 1].
    """
    u = (min(max(log_snr, -12.0), 12.0) + 12.0) / 24.0
    return [2.0 * u - 1.0] + [math.cos(math.pi * k * u) for k in range(1, NOISE_FEATURES)]


def field_features(level: float, ratio: float, share: float) -> list[float]:
    """Describe a precision field by NOISE_FEATURES + 2 * SHAPE_FEATURES numbers in [-1, 1].

    ``level`` is the natural logarithm of the precision of the finest detail, were it whole;
    ``ratio``, in [1/e, 1], is the precision of a scale over that of the next coarser one, and
    ``share``, in [0, 1], how much of the finest detail's precision is there.  Values beyond are
    clamped.
    """
    shape = [1.0 + math.log(min(max(ratio, 1 / math.e), 1.0)), math.sqrt(min(max(share, 0.0), 1.0))]
    return noise_features(level) + [
        number
        for u in shape
        for number in (2 * u - 1, *(math.cos(math.pi * k * u) for k in range(1, SHAPE_FEATURES)))
    ]
