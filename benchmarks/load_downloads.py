"""A thousand receivers that all want a stream at once."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from .crowd import Crowd, Receiver
from .link_transfers import stream
from .process import Process, sending

RECEIVERS = 1000
LENGTHS = (4_000, 8_000, 15_000, 30_000, 60_000)
"""Bytes of the streams; each is wanted by as many."""
PATIENCE = 120.0


async def measure(report: Callable[[str], None]) -> dict[str, object]:
    """Have all of them come at once, and compare every byte."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, length in enumerate(LENGTHS):
            (folder / f"{number}.dfc").write_bytes(stream(length, number))
        report(f"{RECEIVERS} receivers")
        async with sending(folder) as process:
            return await asyncio.to_thread(_download, process, folder)


def _download(process: Process, folder: Path) -> dict[str, object]:
    receivers = [Receiver(image=f"{n % len(LENGTHS)}.dfc") for n in range(RECEIVERS)]
    began, processor = time.monotonic(), process.processor_seconds
    crowd = Crowd(process.port, receivers)
    crowd.run(lambda: all(one.digests or one.failure for one in receivers), seconds=PATIENCE)
    crowd.close()
    whole = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.dfc")
    }
    equal = sum(one.digests == [whole[one.image or ""]] for one in receivers)
    seconds = sorted(time - began for one in receivers for time in one.times)
    if not seconds:
        raise OSError(f"no receiver got anything: {crowd.failures[:1]}")
    return {
        "streams equal byte for byte": {"asked": RECEIVERS, "got": equal},
        "errors": {"asked": 0, "got": RECEIVERS - equal},
        "what went wrong": sorted(set(crowd.failures)),
        "seconds": seconds[-1],
        "seconds of the sender's processor": process.processor_seconds - processor,
        "bytes of payload": crowd.payload,
        "seconds until the first, half and all had theirs": [
            seconds[0],
            seconds[len(seconds) // 2],
            seconds[-1],
        ],
        "seconds between asking and having, median and most": _waits(receivers),
    }


def _waits(receivers: list[Receiver]) -> list[float]:
    waits = sorted(one.times[0] - one.asked for one in receivers if one.times)
    return [waits[len(waits) // 2], waits[-1]]
