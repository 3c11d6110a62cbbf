"""Sender daemons on the loopback, any free port, with a codec that needs no weights."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from fakes import FakeOpener
from virtual_time import VirtualLoop

from diffc_server import Catalogue, Opener, Pipeline, SenderDaemon
from diffc_server.auth.access_control import AccessControl
from diffc_server.catalogue.cameras import Cameras
from diffc_server.daemon import MOST_CONNECTIONS
from diffc_server.http.comparison import Comparison
from diffc_stream.session import Terms
from diffc_stream.transport.impaired_link import Link
from diffc_stream.transport.impairment import PERFECT, Impairment
from diffc_stream.transport.tls import Certificate
from diffc_viewer import Site


def pictures(home: Path) -> Path:
    """Make a folder of files that the fake opener takes for pictures, and return it."""
    folder = home / "served"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.png", "b.png", "sub/c.jpg"):
        (folder / name).write_bytes(name.encode())
    return folder


@asynccontextmanager
async def serving(
    folder: Path,
    opener: Opener | None = None,
    *,
    pipeline: Pipeline | None = None,
    port: int = 0,
    terms: Terms | None = None,
    connections: int = MOST_CONNECTIONS,
    site: Site | None = None,
    compare: bool = False,
    reception: AccessControl | None = None,
    certificate: Certificate | None = None,
    origins: Sequence[str] = (),
    strict: bool = False,
    cameras: Cameras | None = None,
) -> AsyncIterator[SenderDaemon]:
    catalogue = Catalogue(folder, cameras=cameras)
    daemon = SenderDaemon(
        catalogue,
        pipeline or Pipeline(opener or FakeOpener()),
        port=port,
        terms=terms,
        connections=connections,
        names=["station"],
        site=site,
        comparison=Comparison(catalogue) if compare else None,
        reception=reception,
        certificate=certificate,
        origins=origins,
        strict=strict,
    )
    async with daemon:
        yield daemon


class Impaired(Protocol):
    """Puts a bad link in front of a daemon: what the fixture ``impaired`` does."""

    async def __call__(
        self,
        daemon: SenderDaemon,
        *,
        down: Impairment | Sequence[Impairment] = PERFECT,
        up: Impairment | Sequence[Impairment] = PERFECT,
        seed: int = 0,
    ) -> Link: ...


async def settled(condition: Callable[[], bool]) -> None:
    """Let the event loop run until ``condition`` holds."""
    # What is not done after so many turns waits for a thread or another program: let them have
    # the processor.  In virtual time no time passes.
    pause = 0.0 if isinstance(asyncio.get_running_loop(), VirtualLoop) else 0.001
    turns = 0
    async with asyncio.timeout(60):
        while not condition():
            turns += 1
            await asyncio.sleep(0 if turns < 200 else pause)


class Background:
    """A sender daemon on a thread, for what must not run on an event loop."""

    def __init__(self, folder: Path, opener: Opener | None = None) -> None:
        self._folder = folder
        self._opener = opener
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> str:
        self._thread.start()
        assert self._ready.wait(60)
        return self._url

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with serving(self._folder, self._opener) as daemon:
            self._url = daemon.url
            self._ready.set()
            await self._stop.wait()
