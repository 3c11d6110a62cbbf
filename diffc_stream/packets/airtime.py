"""When the next packet may be sent: limits of bytes, packets, and of time on the air."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Airtime:
    """Limits of a sender, each None for no limit.

    ``duty`` is the share of time that a station may be on the air, 0.01 on most of EU868 (ETSI EN
    300 220); ``air_rate`` is how many bytes a second its radio sends while it does.
    """

    bytes_per_second: float | None = None
    packets_per_second: float | None = None
    duty: float | None = None
    air_rate: float | None = None

    def gap(self, size: int) -> float:
        """Return the seconds from the beginning of a packet of ``size`` bytes to the next one's."""
        gaps = [0.0]
        if self.bytes_per_second is not None:
            gaps.append(size / self.bytes_per_second)
        if self.packets_per_second is not None:
            gaps.append(1 / self.packets_per_second)
        if self.air_rate is not None:
            gaps.append(size / self.air_rate / (self.duty or 1.0))
        return max(gaps)
