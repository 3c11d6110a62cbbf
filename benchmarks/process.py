"""A server as a process of its own, and what it costs the machine, as /proc says (Linux)."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

START = 60.0
"""Seconds that a server may take to say that it listens."""
STOP = 15.0
"""Seconds that it may take to end."""


@dataclass(slots=True, kw_only=True)
class Process:
    """A server that is running."""

    pid: int
    port: int
    model: str = ""
    """Fingerprint of the one that it prefers, if it says so."""

    @property
    def resident(self) -> int:
        """Bytes of resident memory."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return 1024 * int(text.partition("Rss:")[2].split()[0])

    @property
    def processor_seconds(self) -> float:
        """Processor time that it has taken."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def sending(folder: Path, *options: str) -> AsyncIterator[Process]:
    """Run ``diffc-server`` on a folder, at any free port of the loopback."""
    quiet = ("--port", "0", "--json", "--no-viewer", "--log-level", "error")
    async with running("diffc_server", str(folder), *quiet, *options) as process:
        yield process


@asynccontextmanager
async def running(
    module: str, *arguments: str, log: Path | None = None, told: bool = True
) -> AsyncIterator[Process]:
    """Run a module that listens and says where, as JSON: ``url``, ws://HOST:PORT, or ``port``.

    Its log goes to a file, if one is named.  Not ``told``: it listens nowhere, and says nothing.
    Raises OSError if it ends instead.
    """
    with log.open("wb") if log else nullcontext() as errors:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    try:
        assert child.stdout is not None
        facts: dict[str, str] = {}
        if told:
            async with asyncio.timeout(START):
                line = await child.stdout.readline()
            if not line:
                raise OSError(f"{module} did not start")
            facts = json.loads(line)
        port = facts.get("port") or facts.get("url", ":0").rpartition(":")[2]
        yield Process(pid=child.pid, port=int(port), model=facts.get("model", ""))
    finally:
        await _end(child)


async def _end(child: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        child.terminate()
        try:
            async with asyncio.timeout(STOP):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()
