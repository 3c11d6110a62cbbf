"""Packets, sent when the limits of a link allow."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from diffc_stream.packets.airtime import Airtime


def send(
    packets: Iterable[bytes],
    carry: Callable[[bytes], None],
    airtime: Airtime,
    *,
    seconds: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Give packets to ``carry`` within the limits, for ``seconds`` at most; return how many.

    Raises what ``carry`` does.
    """
    begun = due = clock()
    end = math.inf if seconds is None else begun + seconds
    sent = 0
    for packet in packets:
        if due >= end:
            break
        if (wait := due - clock()) > 0:
            sleep(wait)
        carry(packet)
        sent += 1
        # A late packet is not made up for by those after it.
        due = max(due, clock()) + airtime.gap(len(packet))
    return sent
