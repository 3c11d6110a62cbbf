"""Serves the viewer's page with a broadcast: packets from a radio, for any number of browsers.

    async with PacketRelay("udp://0.0.0.0:7000", Site(Assets(models))) as relay:
        print(relay.url)
        await relay.ended.wait()

A WebSocket message is a packet (docs/packets.md).  Who joins late gets what has been gathered so
far, and then what is new.  Who reads too slowly misses packets, and gets what there is once more.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Self

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from diffc_stream.packets import Outcome, Packet, Receiver
from diffc_stream.transport.carriers import STANDARD, arriving
from diffc_viewer import Facts, Site

from .pages import HOST, MOST_PAGES, PageServer

SUBPROTOCOL = "diffc-packets.v1"
MOST_WAITING = 256
"""Packets that wait for one page: the oldest are dropped for newer ones."""
PATIENCE = 60.0
"""Seconds after which a page that takes no packet counts as gone."""


class PacketRelay(PageServer):
    """Hands packets from one source to all pages."""

    def __init__(
        self,
        source: str,
        site: Site,
        *,
        host: str = HOST,
        port: int = 0,
        wanted: int | None = None,
        most: int = MOST_PAGES,
        max_pixels: int | None = None,
        origins: Iterable[str] = (),
    ) -> None:
        """Prepare to take packets from ``source``, and to listen on ``port`` of ``host``.

        ``source`` is ``udp://HOST:PORT`` to receive at, a folder of packets, or ``-`` for standard
        input.  ``wanted`` is the only stream to hand on, by its number; up to ``most`` pages are
        open at once, and show no picture of more than ``max_pixels``.  ``origins`` are other sites
        whose pages get packets, too.
        """
        facts = Facts(sender=source, packets=True, max_pixels=max_pixels)
        super().__init__(
            site,
            facts,
            subprotocol=SUBPROTOCOL,
            host=host,
            port=port,
            most=most,
            origins=origins,
        )
        self.ended = asyncio.Event()
        """Set when the source has ended: a folder that is read, a pipe that is closed."""
        self.failure: Exception | None = None
        """Why it has ended before its time."""
        self._source = source
        self._receiver = Receiver(wanted=wanted)
        self._station: tuple[bytes, ...] = ()
        self._lock = threading.Lock()
        """Of what is gathered: a thread receives."""
        self._readers: set[_Page] = set()
        self._stopping = self._waking = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Self:
        """Listen, and begin to receive.  Raises OSError if a port is taken, AddressError."""
        await super().__aenter__()
        self._loop = asyncio.get_running_loop()
        opened = self._loop.create_future()
        # A daemon, because nobody can interrupt reading from a pipe.
        threading.Thread(
            target=self._receive, args=(opened,), name="diffc-packets", daemon=True
        ).start()
        try:
            await opened
        except BaseException:
            await super().__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        await super().__aexit__()
        if self._source != STANDARD:
            await self.ended.wait()

    async def talk(self, page: ServerConnection) -> None:
        """Send a page what has been gathered, and then what is new, until it is closed."""
        sending = asyncio.create_task(self._send(page))
        try:
            async for _ in page:
                await page.close(CloseCode.POLICY_VIOLATION, "a relay of packets takes none")
        finally:
            sending.cancel()
            await asyncio.wait([sending])

    async def _send(self, page: ServerConnection) -> None:
        reader = _Page()
        self._readers.add(reader)
        try:
            while True:
                for packet in await asyncio.to_thread(self._gathered, reader):
                    await _carried(page, packet if isinstance(packet, bytes) else packet.encode())
                await self._follow(page, reader)
        except TimeoutError:
            page.transport.abort()
        except ConnectionClosed:
            pass
        finally:
            self._readers.discard(reader)

    async def _follow(self, page: ServerConnection, reader: _Page) -> None:
        """Send a page what is new, until it has missed some of that."""
        while True:
            while reader.waiting:
                await _carried(page, reader.waiting.popleft())
            if reader.missed:
                return
            reader.news.clear()
            await reader.news.wait()

    def _gathered(self, reader: _Page) -> list[Packet | bytes]:
        """Return what there is of the newest stream; what comes from now on waits for the page."""
        with self._lock:
            reader.waiting.clear()
            reader.missed = False
            newest = self._receiver.newest
            # Packets, not yet their bytes: the pages share what is in them.
            return [*self._station, *(newest.sent() if newest else ())]

    def _receive(self, opened: asyncio.Future[None]) -> None:
        """Take packets until there are no more; on a thread of its own."""
        try:
            with arriving(self._source) as packets:
                self._call(opened.set_result, None)
                for packet in packets:
                    if self._stopping:
                        break
                    if packet is not None:
                        self._take(packet)
        except Exception as error:  # whatever it is, somebody waits for the end
            self.failure = error
            self._call(_fail, opened, error)
        finally:
            self._call(self.ended.set)

    def _take(self, packet: bytes) -> None:
        with self._lock:
            outcome = self._receiver.take(packet)
            if outcome not in (Outcome.NEW, Outcome.STATION):
                return
            if outcome is Outcome.STATION:
                self._station = (packet,)
            for reader in tuple(self._readers):
                reader.missed = reader.missed or len(reader.waiting) == reader.waiting.maxlen
                reader.waiting.append(packet)
        if not self._waking:
            self._waking = True
            self._call(self._wake)

    def _wake(self) -> None:
        self._waking = False
        for reader in self._readers:
            reader.news.set()

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop has ended before a pipe has
            self._loop.call_soon_threadsafe(function, *arguments)


class _Page:
    """A page that is being sent packets."""

    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self.news = asyncio.Event()
        self.missed = False
        """Whether packets that waited made way for newer ones."""


def _fail(opened: asyncio.Future[None], error: Exception) -> None:
    if not opened.done():
        opened.set_exception(error)


async def _carried(page: ServerConnection, packet: bytes) -> None:
    async with asyncio.timeout(PATIENCE):
        await page.send(packet)
