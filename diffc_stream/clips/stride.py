"""How far apart the pictures of a clip lie that start from the one before.

With a large stride most pictures have a source on either side; where things move fast, pictures far
apart have little in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10

import numpy as np
from numpy.typing import NDArray

from diffc_stream.clips.search import between
from diffc_stream.codec.energy import mean_square
from diffc_stream.diffusion import octaves

Picture = NDArray[np.uint8]

WIDEST = 4
"""The widest stride, a power of two."""
EITHER_SIDE = 2.0
"""By how many dB two sources together differ less from a picture than each of them."""
PREFERRED = 0.75
"""By how many dB pictures may differ more from their sources before a wide stride is given up:
errors gather from source to source, and there are fewer generations with it."""
PLACES = 3
"""Where a clip is looked at."""


def stride(pictures: Sequence[Picture]) -> int:
    """Return the stride for a clip of ``pictures``, 8-bit sRGB, (H, W, 3) each."""
    apart = {1: _difference(pictures, 1)}
    while 2 * max(apart) < len(pictures) and max(apart) < WIDEST:
        apart[2 * max(apart)] = _difference(pictures, 2 * max(apart))
    near = apart[1] + PREFERRED
    return max(wide for wide in apart if _mean(apart, wide) <= near)


def _mean(apart: Mapping[int, float], wide: int) -> float:
    """Return by how many dB pictures differ from their sources with a stride, on average."""
    total, within = apart[wide], wide
    while within > 1:
        within //= 2
        total += wide // (2 * within) * (apart[within] - EITHER_SIDE)
    return total / wide


def _difference(pictures: Sequence[Picture], apart: int) -> float:
    """Return how much moved pictures differ that are ``apart``, in dB; the mean of some places."""
    last = len(pictures) - 1 - apart
    places = sorted({round(place * last / (PLACES - 1)) for place in range(PLACES)})
    return sum(_apart(pictures[n], pictures[n + apart]) for n in places) / len(places)


def _apart(there: Picture, here: Picture) -> float:
    count = len(octaves.sizes(*here.shape[:2]))
    x, r = (octaves.all_of(octaves.signal(picture), count) for picture in (here, there))
    _, differences = between(x, r)
    return 10 * log10(max(mean_square(differences), 1e-6))
