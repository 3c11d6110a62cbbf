"""Sends several messages in one write, where websockets would make one write for each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from websockets.asyncio.connection import Connection
from websockets.protocol import State

from diffc_stream.errors import LinkLost


async def write(connection: Connection, messages: Sequence[bytes], *, patience: float) -> None:
    """Send binary messages; return when at most the connection's write limit is buffered.

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
        # Waits for room in the buffer; raises ConnectionClosed if the connection ends instead.
        async with asyncio.timeout(patience), connection.send_context():
            pass
    except TimeoutError:
        raise LinkLost("the receiver does not read") from None
