"""What receivers cost that say nothing, or ask and then read nothing."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from diffc_stream.session import MAX_WINDOW, SUBPROTOCOL
from diffc_stream.session.coding import encode
from diffc_stream.session.messages import Hello

from .certificate import certify
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
BEFORE = 20
"""Receivers that come first: what is there once, whoever comes, is not theirs."""


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
        report(f"{RECEIVERS} idle over TLS")
        certify(folder)
        files = ("--tls-cert", f"{folder / 'cert.pem'}", "--tls-key", f"{folder / 'key.pem'}")
        async with sending(folder, *files) as process, AsyncExitStack() as held:
            figures["bytes each, idle over TLS"] = {
                "asked": ASKED,
                "got": await _weigh_over_tls(process, folder / "cert.pem", held),
            }
    return figures


def _weigh(process: Process, receiver: Callable[[], Receiver]) -> int:
    _gather(process, [Receiver(image="0.dfc") for _ in range(BEFORE)], ended=True).close()
    before = process.resident
    crowd = _gather(process, [receiver() for _ in range(RECEIVERS)], ended=False)
    after = process.resident
    crowd.close()
    return (after - before) // RECEIVERS


async def _weigh_over_tls(process: Process, authority: Path, held: AsyncExitStack) -> int:
    trusting = ssl.create_default_context(cafile=authority)

    async def come(number: int) -> int:
        for _ in range(number):
            receiver = connect(
                f"wss://localhost:{process.port}",
                ssl=trusting,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
            )
            socket = await held.enter_async_context(receiver)
            await socket.send(encode(Hello(window=MAX_WINDOW, idle=600.0)))
            await socket.recv()  # WELCOME
        await asyncio.sleep(SETTLING)
        return process.resident

    before = await come(BEFORE)
    return (await come(RECEIVERS) - before) // RECEIVERS


def _gather(process: Process, receivers: list[Receiver], *, ended: bool) -> Crowd:
    crowd = Crowd(process.port, receivers)

    def settled() -> bool:
        done = all(one.digests if ended else one.welcomed for one in receivers)
        return done or bool(crowd.failures)

    if not crowd.run(settled, seconds=PATIENCE) or crowd.failures:
        raise OSError(f"not all receivers are there: {crowd.failures[:1]}")
    crowd.rest(SETTLING)
    return crowd
