"""Relays a page's WebSocket to a sender, frame by frame, at a limited rate if wanted."""

from __future__ import annotations

import asyncio

from websockets.exceptions import ConnectionClosed
from websockets.frames import EXTERNAL_CLOSE_CODES, CloseCode

from diffc_stream.errors import DiffcError
from diffc_stream.transport.pacing import Paced

from ..remote.address import Address
from ..remote.credentials import NO_ACCESS, Access
from ..remote.handshake import open_websocket

MOST_REASON = 123
"""Bytes of the reason in a CLOSE frame."""
PATIENCE = 60.0
"""Seconds after which a page that takes no data, though it is on this machine, counts as gone."""
MASK = 4
"""Bytes of the mask in each frame of a client."""


class ThrottledLink:
    """One direction of a link with a limited rate, shared by all pages."""

    def __init__(self, rate: float | None) -> None:
        """Carry ``rate`` bytes a second; None is without a limit."""
        self.nbytes = 0
        """Bytes carried so far, of messages and their frames."""
        self._rate = rate
        self._free = 0.0
        """When all earlier bytes will have crossed, by the event loop's clock."""

    async def cross(self, size: int) -> None:
        """Wait until ``size`` bytes have crossed, after all earlier ones."""
        if self._rate is not None:
            now = asyncio.get_running_loop().time()
            self._free = max(self._free, now) + size / self._rate
            await asyncio.sleep(self._free - now)
        self.nbytes += size


async def relay(
    page: Paced,
    address: Address,
    *,
    down: ThrottledLink,
    up: ThrottledLink,
    access: Access = NO_ACCESS,
) -> None:
    """Relay both ways between a page and a new connection to the sender, until either ends.

    The other one is closed with the same code and reason.  If the sender cannot be reached, the
    page's connection is closed with the reason and code 1014 (bad gateway).
    """
    try:
        sender = await open_websocket(address, access)
    except DiffcError as error:
        await page.close(CloseCode.BAD_GATEWAY, _fit(str(error)))
        return
    try:
        async with asyncio.TaskGroup() as tasks:
            lost = "the connection to the sender was lost"
            coming = tasks.create_task(_copy(sender, page, down, lost, 0, patience=PATIENCE))
            tasks.create_task(_copy(page, sender, up, "the page is gone", MASK))
            await page.wait_closed()
            coming.cancel()  # it may still wait for the slowed link
    finally:
        sender.transport.abort()


async def _copy(
    source: Paced,
    sink: Paced,
    line: ThrottledLink,
    lost: str,
    mask: int,
    *,
    patience: float | None = None,
) -> None:
    # A slow sink holds back a fast source: except for the few messages that websockets buffers,
    # nothing is read before the last message has been sent.
    try:
        while True:
            message = await source.recv()
            data = message.encode() if isinstance(message, str) else message
            await line.cross(len(data) + _frame(len(data)) + mask)
            if not mask:
                # Pictures and catalogues earn both ends a higher limit on messages.
                source.earn(len(data))
                sink.earn(len(data))
            async with asyncio.timeout(patience):
                await sink.send(message)
    except TimeoutError:
        sink.transport.abort()
    except ConnectionClosed:
        await sink.close(*_parting(source, lost))


def _parting(source: Paced, lost: str) -> tuple[int, str]:
    """Return the code and reason to close the other end with, after ``source`` has ended."""
    code = source.close_code
    if code is None or code == CloseCode.NO_STATUS_RCVD:
        return CloseCode.NORMAL_CLOSURE, ""
    if code in EXTERNAL_CLOSE_CODES or code >= 3000:
        return code, source.close_reason or ""
    return CloseCode.BAD_GATEWAY, lost


def _frame(size: int) -> int:
    """Return how many bytes a frame adds to a message of ``size`` bytes."""
    return 2 if size < 126 else 4 if size < 65_536 else 10


def _fit(reason: str) -> str:
    return reason.encode()[:MOST_REASON].decode(errors="ignore")
