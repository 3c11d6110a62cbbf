"""What a stream has cost, and what it has brought."""

from __future__ import annotations

from dataclasses import dataclass


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
    seconds: float
    """Spent by this encoder.  That includes replaying a prefix, but not encoding it once."""
    rcc_seconds: float
    """The part of ``seconds`` spent in reverse channel coding."""
