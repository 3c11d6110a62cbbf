"""What a stream has cost, and what it has brought."""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeReport:
    """What a stream cost and brought."""

    bytes: int
    bpp: float
    psnr: float
    """Of the mmse picture, in dB."""
    steps: int
    """Including one that was cut."""
    evaluations: float
    """Denoiser evaluations, including the last picture's; one of the whole picture counts 1."""
    ideal_bits: float
    """Sum over the steps of -(D/2) log2(1 - r^2), r the cosine between sample and error."""
    state_noise: float
    """Variance of (eta - snr x) / sqrt(snr); 1 for an ideal observation."""
    side_information_bytes: int
    reference: bool
    """Whether the stream starts from a picture that the receiver has."""
    seconds: float
    """Spent by this encoder.  That includes replaying a prefix, but not encoding it once."""
    rcc_seconds: float
    """The part of ``seconds`` spent in reverse channel coding."""


def ideal_bits(shift: Floats, sample: Floats) -> float:
    """Return the bits that an ideal code would need to tell as much about ``shift``.

    That is -(D/2) log2(1 - r^2), where r is the cosine between ``shift`` and ``sample``, both of
    shape (D,); 0 for a shift of zeros.
    """
    energy = float(np.dot(shift, shift)) * float(np.dot(sample, sample))
    if energy == 0.0:
        return 0.0
    cosine = float(np.dot(shift, sample)) ** 2 / energy
    return -shift.size / 2 * log2(max(1.0 - cosine, 1e-12))
