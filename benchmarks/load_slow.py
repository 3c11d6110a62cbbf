"""What fast receivers notice of slow ones."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from .crowd import Crowd, Receiver
from .link_transfers import stream
from .process import Process, sending

FAST = 8
"""Receivers that take all that comes: half of them want long streams, half short ones."""
SLOW_RATE = 500.0
"""Bytes per second."""
LONG, SHORT = 2_000_000, 8_000
"""Bytes of a stream."""
LONG_NAME, SHORT_NAME = "long.dfc", "short.dfc"
WARM_UP = 0.5
SECONDS = 1.0
PATIENCE = 60.0
ROUNDS = 15
"""With and without slow ones in turn, because the machine is not always as fast."""


async def measure(report: Callable[[str], None]) -> dict[str, object]:
    """Compare what fast receivers get beside nobody, beside a slow one and a stalled one."""
    alone: list[_Pace] = []
    beside: list[_Pace] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / LONG_NAME).write_bytes(stream(LONG, 0))
        (folder / SHORT_NAME).write_bytes(stream(SHORT, 1))
        async with sending(folder, "--window", "65536") as process:
            for number in range(ROUNDS):
                report(f"round {number + 1} of {ROUNDS}")
                alone.append(await asyncio.to_thread(_pace, process, []))
                beside.append(await asyncio.to_thread(_pace, process, _hindrances()))
    pairs = list(zip(beside, alone, strict=True))
    rates = [with_.kilobytes / without.kilobytes for with_, without in pairs]
    waits = [with_.milliseconds / without.milliseconds for with_, without in pairs]
    between = [one.kilobytes / other.kilobytes for one, other in pairwise(alone)]
    return {
        "kB a second of fast ones beside a slow and a stalled one, over alone": {
            "asked": "1, within noise",
            "got": median(rates),
        },
        "least and most of the rounds": [min(rates), max(rates)],
        "... and from one round alone to the next": [min(between), max(between)],
        "milliseconds for a short stream beside them, over alone": {
            "asked": "1, within noise",
            "got": median(waits),
        },
        "kB a second, alone and beside them": _medians(alone, beside, _kilobytes),
        "milliseconds, alone and beside them": _medians(
            alone, beside, lambda one: one.milliseconds
        ),
        "bytes a second that the slow one got": median(pace.slow for pace in beside),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pace:
    """What fast receivers got in a while."""

    kilobytes: float
    """Of payload, per second, of all of them."""
    milliseconds: float
    """For a short stream, median."""
    slow: float
    """Bytes per second that the slow one got."""


def _hindrances() -> list[Receiver]:
    return [
        Receiver(image=LONG_NAME, rate=SLOW_RATE, buffer=4096),
        Receiver(image=LONG_NAME, reads=1, buffer=4096),
    ]


def _pace(process: Process, hindrances: list[Receiver]) -> _Pace:
    fast = [
        Receiver(image=SHORT_NAME if number % 2 else LONG_NAME, again=True, hashed=False)
        for number in range(FAST)
    ]
    crowd = Crowd(process.port, [*hindrances, *fast])
    crowd.rest(WARM_UP)
    before = [len(one.times) for one in fast]
    payload, slow = _payload(fast), _payload(hindrances)
    began = time.monotonic()
    crowd.rest(SECONDS)
    # On a machine that hardly gets to it, for so long as there is nothing to tell.
    crowd.run(lambda: _told(fast, before) or bool(crowd.failures), seconds=PATIENCE)
    seconds = time.monotonic() - began
    if crowd.failures:
        raise OSError(f"a receiver failed: {crowd.failures[0]}")
    crowd.close()
    spans = [
        later - sooner
        for one, first in zip(fast, before, strict=True)
        if one.image == SHORT_NAME
        for sooner, later in pairwise(one.times[first:])
    ]
    return _Pace(
        kilobytes=(_payload(fast) - payload) / 1000 / seconds,
        milliseconds=1000 * median(spans),
        slow=(_payload(hindrances) - slow) / seconds,
    )


def _told(fast: list[Receiver], before: list[int]) -> bool:
    """Tell whether every receiver of short streams has got some, one after the other."""
    return all(
        len(one.times) >= first + 3
        for one, first in zip(fast, before, strict=True)
        if one.image == SHORT_NAME
    )


def _payload(receivers: list[Receiver]) -> int:
    return sum(one.payload for one in receivers)


def _medians(
    alone: list[_Pace], beside: list[_Pace], figure: Callable[[_Pace], float]
) -> list[float]:
    return [median(figure(pace) for pace in paces) for paces in (alone, beside)]


def _kilobytes(pace: _Pace) -> float:
    return pace.kilobytes


def _milliseconds(pace: _Pace) -> float:
    return pace.milliseconds
