"""Carries a page's WebSocket to a sender, frame by frame, as slowly as it is told to."""

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
"""Seconds that a page, which is near, may take nothing; then it is taken for gone."""
MASK = 4
"""Bytes of a frame that a client sends beside those of any."""


class Line:
    """One way of a link that carries so many bytes a second, whoever they are of."""

    def __init__(self, rate: float | None) -> None:
        """Carry ``rate`` bytes a second, or all at once."""
        self.carried = 0
        """Bytes of messages and their frames."""
        self._rate = rate
        self._free = 0.0
        """When all before has crossed, in the event loop's time."""

    async def cross(self, size: int) -> None:
        """Wait until so many bytes have crossed, after all that came before them."""
        if self._rate is not None:
            now = asyncio.get_running_loop().time()
            self._free = max(self._free, now) + size / self._rate
            await asyncio.sleep(self._free - now)
        self.carried += size


async def carry(
    page: Paced,
    address: Address,
    *,
    down: Line,
    up: Line,
    access: Access = NO_ACCESS,
) -> None:
    """Carry both ways between a page and a connection of its own, until either has ended.

    The other one is told with the same code and reason.  If there is no sender, the page is told
    why, with the code 1014 (bad gateway).
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
            tasks.create_task(_copy(page, sender, up, "the page has gone", MASK))
            await page.wait_closed()
            coming.cancel()  # it may wait for the line, for nobody
    finally:
        sender.transport.abort()


async def _copy(
    source: Paced,
    sink: Paced,
    line: Line,
    lost: str,
    mask: int,
    *,
    patience: float | None = None,
) -> None:
    # Who is slow to take holds back who is quick to give: nothing is read ahead of what is sent,
    # but for the few messages that websockets keeps.
    try:
        while True:
            message = await source.recv()
            data = message.encode() if isinstance(message, str) else message
            await line.cross(len(data) + _frame(len(data)) + mask)
            if not mask:
                # What is large are pictures, or a catalogue: both ends may say more for it.
                source.earn(len(data))
                sink.earn(len(data))
            async with asyncio.timeout(patience):
                await sink.send(message)
    except TimeoutError:
        sink.transport.abort()
    except ConnectionClosed:
        await sink.close(*_parting(source, lost))


def _parting(source: Paced, lost: str) -> tuple[int, str]:
    """Return what to close with when ``source`` has ended, or the other end, which knows."""
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
