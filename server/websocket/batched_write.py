"""Messages that leave together: one write for all of them, where websockets makes one for each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from websockets.asyncio.connection import Connection
from websockets.protocol import State

from diffc_stream.errors import LinkLost


async def write(connection: Connection, messages: Sequence[bytes], *, patience: float) -> None:
    """Send binary messages; returns when no more than the connection's write limit waits.

    Raises ConnectionClosed, or LinkLost if that takes more than ``patience`` seconds.
    """
    protocol = connection.protocol
    if protocol.state is State.OPEN:
        for message in messages:
            protocol.send_binary(message)
        connection.transport.write(b"".join(protocol.data_to_send()))
        if not connection.paused and not connection.transport.is_closing():
            return
    try:
        # Waits for room, or for the end if there is none any more, and says which.
        async with asyncio.timeout(patience), connection.send_context():
            pass
    except TimeoutError:
        raise LinkLost("the receiver does not take what it asked for") from None
