"""DATA frames a second from one process."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from diffc_stream.session import MAX_WINDOW

from .crowd import Crowd, Receiver
from .link_transfers import stream
from .process import Process, running, sending

ASKED = 15_000
"""Frames of 1 kB a second."""
RECEIVERS = 30
LENGTH = 2_000_000
"""Bytes of each stream."""
WARM_UP = 1.0
SECONDS = 3.0
ROUNDS = 3
"""Ours and the others take turns, because the machine is not always as fast."""


async def measure(report: Callable[[str], None]) -> dict[str, object]:
    """Count what a process sends to receivers that take everything at once."""
    ours: list[_Flow] = []
    plain: list[_Flow] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(4):
            (folder / f"{number}.dfc").write_bytes(stream(LENGTH, number))
        for number in range(ROUNDS):
            report(f"round {number + 1} of {ROUNDS}")
            async with sending(folder, "--window", str(MAX_WINDOW)) as process:
                ours.append(await asyncio.to_thread(_flow, process))
            async with running("diffc_benchmarks.plain_server") as process:
                plain.append(await asyncio.to_thread(_flow, process))
    best, beside = _middle(ours), _middle(plain)
    return {
        "DATA frames of 1 kB per second": {"asked": ASKED, "got": best.kilobytes},
        "frames per second": best.frames,
        "bytes of payload per frame": 1000 * best.kilobytes / best.frames,
        "share of a processor": best.share,
        "... and per second of its own processor time": best.kilobytes / best.share,
        "rounds": [flow.kilobytes for flow in ours],
        "of websockets alone": {
            "frames of 1 kB per second": beside.kilobytes,
            "share of a processor": beside.share,
            "per second of its own processor time": beside.kilobytes / beside.share,
            "rounds": [flow.kilobytes for flow in plain],
        },
    }


class _Flow:
    """What came of one process in a while."""

    def __init__(self, *, frames: float, kilobytes: float, share: float) -> None:
        self.frames = frames
        """Per second."""
        self.kilobytes = kilobytes
        """Of payload, per second."""
        self.share = share
        """Of one processor's time that the process took."""


def _flow(process: Process) -> _Flow:
    crowd = Crowd(
        process.port,
        [Receiver(image=f"{number % 4}.dfc", again=True) for number in range(RECEIVERS)],
    )
    crowd.rest(WARM_UP)
    start, frames, payload = time.monotonic(), crowd.frames, crowd.payload
    processor = process.processor_seconds
    crowd.rest(SECONDS)
    seconds = time.monotonic() - start
    if crowd.failures:
        raise OSError(f"a receiver failed: {crowd.failures[0]}")
    flow = _Flow(
        frames=(crowd.frames - frames) / seconds,
        kilobytes=(crowd.payload - payload) / 1000 / seconds,
        share=(process.processor_seconds - processor) / seconds,
    )
    crowd.close()
    return flow


def _middle(flows: list[_Flow]) -> _Flow:
    return sorted(flows, key=lambda flow: flow.kilobytes)[len(flows) // 2]
