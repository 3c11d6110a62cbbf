"""What receivers cost that say nothing, or ask and then read nothing."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from .crowd import Crowd, Receiver
from .link_transfers import stream
from .process import Process, sending

ASKED = 64_000
"""Bytes of resident memory each."""
RECEIVERS = 500
LENGTH = 1_000_000
SMALL = 4096
"""Bytes of buffer in the kernel, so that what is not read stays with the sender."""
SETTLING = 2.0
"""Seconds after which nothing more happens."""
PATIENCE = 60.0


async def measure(report: Callable[[str], None]) -> dict[str, object]:
    """Weigh a process before and after receivers have come."""
    kinds: dict[str, Callable[[], Receiver]] = {
        "idle": lambda: Receiver(image=None),
        "stalled, having read nothing": lambda: Receiver(image="0.dfc", reads=0, buffer=SMALL),
        "stalled in the middle": lambda: Receiver(image="0.dfc", reads=1, buffer=SMALL),
    }
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "0.dfc").write_bytes(stream(LENGTH, 0))
        for kind, receiver in kinds.items():
            report(f"{RECEIVERS} {kind}")
            async with sending(folder, "--window", "65536") as process:
                figures[f"bytes each, {kind}"] = {
                    "asked": ASKED,
                    "got": await asyncio.to_thread(_weigh, process, receiver),
                }
    return figures


def _weigh(process: Process, receiver: Callable[[], Receiver]) -> int:
    # What is there once, whoever comes, is not theirs: code, the stream, the first of everything.
    _gather(process, [Receiver(image="0.dfc") for _ in range(20)], ended=True).close()
    before = process.resident
    crowd = _gather(process, [receiver() for _ in range(RECEIVERS)], ended=False)
    after = process.resident
    crowd.close()
    return (after - before) // RECEIVERS


def _gather(process: Process, receivers: list[Receiver], *, ended: bool) -> Crowd:
    crowd = Crowd(process.port, receivers)

    def settled() -> bool:
        done = all(one.digests if ended else one.welcomed for one in receivers)
        return done or bool(crowd.failures)

    if not crowd.run(settled, seconds=PATIENCE) or crowd.failures:
        raise OSError(f"not all receivers are there: {crowd.failures[:1]}")
    crowd.rest(SETTLING)
    return crowd
