"""A mirror that runs while a test looks at what it keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from serving import pictures

from diffc_client import Address, Mirror, Mirrored
from diffc_client.remote.credentials import NO_ACCESS, Access, TokenFile
from diffc_stream.transport.backoff import Backoff

NAMES = ("a.png", "b.png", "sub/c.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    folder = tmp_path / "kept"
    folder.mkdir()
    return folder


class Waiting:
    """Knows which pictures are complete, and can be waited for."""

    def __init__(self) -> None:
        self.complete: list[str] = []

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(3600):
            while not condition():  # noqa: ASYNC110 - files are looked at, too
                await asyncio.sleep(0.25)

    async def until_complete(self, *names: str) -> None:
        await self.until(lambda: set(names) <= set(self.complete))


class Watcher(Waiting):
    """Sees what a mirror keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.grown: list[tuple[str, int]] = []
        self.mirror: Mirror

    def __call__(self, mirrored: Mirrored) -> None:
        self.grown.append((mirrored.name, mirrored.bytes))
        if mirrored.complete:
            self.complete.append(mirrored.name)


@asynccontextmanager
async def mirroring(
    kept: Path, url: str, *, access: Access | TokenFile = NO_ACCESS, **options: Any
) -> AsyncIterator[Watcher]:
    watcher = Watcher()
    backoff = Backoff(first=0.1, longest=1.0, patience=None, draw=lambda: 1.0)
    async with Mirror(kept, backoff=backoff, on_change=watcher, **options) as mirror:
        watcher.mirror = mirror
        running = asyncio.create_task(mirror.run(Address.parse(url), access=access))
        try:
            yield watcher
            assert not running.done()
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


def files(home: Path) -> list[str]:
    """Return all files but the mirror's own notes."""
    found = (path for path in home.rglob("*") if path.is_file() and not is_notes(path))
    return sorted(str(path.relative_to(home)) for path in found)


def is_notes(path: Path) -> bool:
    return path.name.startswith(".diffc-written-")


def asked(caplog: pytest.LogCaptureFixture, name: str) -> list[int]:
    """From which bytes on a stream was asked for."""
    return [int(text.rpartition(" ")[2]) for text in caplog.messages if f" gets {name} " in text]
