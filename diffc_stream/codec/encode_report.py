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
    """One that was cut included."""
    evaluations: float
    """Denoiser evaluations in full-resolution equivalents, that of the last picture included."""
    ideal_bits: float
    """Sum over the steps of -(D/2) log2(1 - r^2), r the cosine between sample and error."""
    state_noise: float
    """Variance of (eta - snr x) / sqrt(snr); 1 for an ideal observation."""
    side_information_bytes: int
    seconds: float
    """Of this encoder: what replaying a prefix took, not what making it took."""
    rcc_seconds: float
    """Of them, spent in reverse channel coding."""
