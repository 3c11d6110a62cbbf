"""Two senders on one address, and one of them is told to stop while receivers are under way.

The receivers are diffc-client's own, without decoding, all behind one slow link.  What each sender
sent to whom is in its log; whatever was sent twice, or lost on the way, makes that more than the
streams have.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import diffc_client
from diffc_client import MemoryStream
from diffc_stream.errors import DiffcError
from diffc_stream.transport.impaired_link import Link
from diffc_stream.transport.impairment import Impairment

from .link_transfers import NoDecoders, stream

RECEIVERS = 200
LENGTHS = (12_000, 16_000, 20_000, 24_000)
"""Bytes of the streams; each is wanted by as many."""
RATE = 2000.0
"""Bytes per second that the link carries for each receiver."""
DELAY = 0.05
SPREAD = 3.0
"""Seconds within which receivers are expected to come, and to have begun."""
PATIENCE = 120.0
DRAIN = 10.0


@dataclass(slots=True, kw_only=True)
class Sent:
    """What a sender's log tells."""

    payload: int = 0
    """Bytes that it sent."""
    drained: int = 0
    """Streams that it ended because it was told to stop."""
    came: list[datetime] = field(default_factory=list)
    """When receivers came."""


async def measure(report: Callable[[str], None]) -> dict[str, object]:
    """Tell one of the senders to stop, and count what its receivers get in the end."""
    return await drained(report, receivers=RECEIVERS, rate=RATE)


async def drained(
    report: Callable[[str], None], *, receivers: int, rate: float
) -> dict[str, object]:
    """Do that with so many receivers, and a link of ``rate`` bytes per second for each."""
    with tempfile.TemporaryDirectory() as name:
        folder, files = _folder(Path(name, "streams"))
        held = [MemoryStream() for _ in range(receivers)]
        logs = Path(name, "first.log"), Path(name, "second.log")
        async with (
            _sending(folder, 0, logs[0]) as (first, port),
            _sending(folder, port, logs[1]),
            Link(
                *("127.0.0.1", port),
                down=Impairment(rate=receivers * rate, delay=DELAY),
                up=Impairment(delay=DELAY),
            ) as link,
        ):
            report(f"{receivers} receivers at two senders")
            tasks = [
                asyncio.create_task(_receive(link.port, number, kept))
                for number, kept in enumerate(held)
            ]
            await asyncio.sleep(SPREAD)
            while not all(kept.length for kept in held):  # noqa: ASYNC110 (nobody tells when)
                await asyncio.sleep(0.1)
            report("one of them is told to stop")
            before = [kept.length for kept in held]
            told, began = datetime.now(UTC), time.monotonic()
            first.send_signal(signal.SIGTERM)
            code = await first.wait()
            seconds = time.monotonic() - began
            async with asyncio.timeout(PATIENCE):
                failures = [error for error in await asyncio.gather(*tasks) if error]
        sent = [_read(log) for log in logs]
    whole = [files[number % len(LENGTHS)] for number in range(receivers)]
    back = sorted((when - told).total_seconds() for when in sent[1].came if when > told)
    payload = sum(each.payload for each in sent)
    return {
        "receivers whose streams are equal byte for byte": {
            "asked": receivers,
            "got": sum(kept.read() == data for kept, data in zip(held, whole, strict=True)),
        },
        "bytes lost": {
            "asked": 0,
            "got": sum(len(data) - kept.length for kept, data in zip(held, whole, strict=True)),
        },
        "bytes sent twice": {"asked": 0, "got": payload - sum(map(len, whole))},
        "receivers under way when it was told": sum(
            0 < length < len(data) for length, data in zip(before, whole, strict=True)
        ),
        "of them at the sender that stopped": sent[0].drained,
        "of those gone on at the other": len(back),
        "what went wrong": sorted({str(error) for error in failures}),
        "exit code of the one that stopped": {"asked": 0, "got": code},
        "seconds that it took": {"asked": f"at most {DRAIN:g}", "got": seconds},
        "seconds until the last was back": back[-1] if back else 0.0,
        "most that came back within 0.1 s": _most_within(back, 0.1),
    }


async def _receive(port: int, number: int, kept: MemoryStream) -> DiffcError | None:
    image = f"{number % len(LENGTHS)}.dfc"
    try:
        async with diffc_client.connect(
            f"ws://127.0.0.1:{port}", decoders=NoDecoders(), patience=PATIENCE
        ) as sender:
            await sender.receive(image, kept)
    except DiffcError as error:
        return error
    return None


@asynccontextmanager
async def _sending(
    folder: Path, port: int, log: Path
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Run ``diffc-server``, and yield it with the port that others may use too."""
    flags = ("--reuse-port", "--no-viewer", "--json", "--log-format", "json")
    with log.open("wb") as errors:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "diffc_server", str(folder), "--port", str(port)),
            *(*flags, "--drain", str(DRAIN)),
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    try:
        assert child.stdout is not None
        line = await child.stdout.readline()
        if not line:
            raise OSError("the sender did not start")
        url: str = json.loads(line)["url"]
        yield child, int(url.rpartition(":")[2])
    finally:
        if child.returncode is None:
            child.terminate()
            await child.wait()


def _folder(folder: Path) -> tuple[Path, list[bytes]]:
    """Make a folder of streams, and return it with what is in them."""
    folder.mkdir()
    files = [stream(length, number) for number, length in enumerate(LENGTHS)]
    for number, data in enumerate(files):
        (folder / f"{number}.dfc").write_bytes(data)
    return folder, files


def _read(log: Path) -> Sent:
    sent = Sent()
    for line in log.read_text().splitlines():
        facts = json.loads(line)
        if facts["event"].endswith(" connected"):
            sent.came.append(datetime.fromisoformat(facts["time"]))
        elif "stream" in facts and "bytes" in facts:
            sent.payload += facts["bytes"]
            sent.drained += facts["end"] == "draining"
    return sent


def _most_within(times: list[float], seconds: float) -> int:
    """Return how many of the times, which are sorted, fall into one span at most."""
    return max(
        (sum(start <= time < start + seconds for time in times) for start in times), default=0
    )
