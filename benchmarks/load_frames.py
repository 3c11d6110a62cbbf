"""DATA frames a second from one process."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from diffc_stream.session import MAX_WINDOW

from .crowd import Crowd, Receiver
from .link_transfers import stream
from .process import Process, running, sending

ASKED = 15_000
"""Frames of 1 kB a second."""
RECEIVERS = 30
GALLERY = 60
"""Streams at once on a connection, of as many receivers as there are streams on disk."""
STREAMS = 4
LENGTH = 2_000_000
"""Bytes of each."""
WARM_UP = 1.0
SECONDS = 2.0
ROUNDS = 3
"""The three of them take turns, because the machine is not always as fast."""


async def measure(report: Callable[[str], None]) -> dict[str, object]:
    """Count what a process sends to receivers that take everything at once."""
    single: list[_Flow] = []
    gallery: list[_Flow] = []
    plain: list[_Flow] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(STREAMS):
            (folder / f"{number}.dfc").write_bytes(stream(LENGTH, number))
        for number in range(ROUNDS):
            report(f"round {number + 1} of {ROUNDS}")
            async with sending(folder, "--window", str(MAX_WINDOW)) as process:
                single.append(await asyncio.to_thread(_flow, process, RECEIVERS, 1))
                gallery.append(await asyncio.to_thread(_flow, process, STREAMS, GALLERY))
            async with running("diffc_benchmarks.plain_server") as process:
                plain.append(await asyncio.to_thread(_flow, process, RECEIVERS, 1))
    return {
        "DATA frames of 1 kB per second": {"asked": ASKED, "got": _middle(single).kilobytes},
        f"{RECEIVERS} receivers of a stream each": _said(single),
        f"{STREAMS} receivers of {GALLERY} streams each": _said(gallery),
        "websockets alone, one frame over and over": _said(plain),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flow:
    """What came of one process in a while."""

    frames: float
    """Per second."""
    kilobytes: float
    """Of payload, per second: so many frames of 1 kB it would be."""
    share: float
    """Of one processor's time that the process took."""


def _flow(process: Process, receivers: int, streams: int) -> _Flow:
    crowd = Crowd(
        process.port,
        [
            Receiver(image=f"{number % STREAMS}.dfc", again=True, streams=streams, hashed=False)
            for number in range(receivers)
        ],
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


def _said(flows: list[_Flow]) -> dict[str, object]:
    """Return the middle one, and what all came to."""
    flow = _middle(flows)
    own = round(flow.kilobytes / flow.share) if flow.share else None
    return {
        "frames of 1 kB per second": round(flow.kilobytes),
        "frames per second": round(flow.frames),
        "share of a processor": round(flow.share, 2),
        "frames of 1 kB per second of its own processor time": own,
        "rounds": [round(flow.kilobytes) for flow in flows],
    }
