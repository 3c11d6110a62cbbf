"""What a receiver does over a WebSocket that behaves as a test says."""

from __future__ import annotations

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from diffc_stream.session import SUBPROTOCOL, Hello, Message, decode, encode

HELLO = encode(Hello(window=1024, idle=60.0))


def dial(url: str, subprotocol: str = SUBPROTOCOL, origin: str | None = None) -> connect:
    return connect(
        url,
        subprotocols=[Subprotocol(subprotocol)],
        origin=Origin(origin) if origin else None,
        proxy=None,
    )


async def heard(websocket: ClientConnection) -> Message:
    data = await websocket.recv()
    assert isinstance(data, bytes)
    return decode(data)


async def everything(websocket: ClientConnection) -> list[Message]:
    messages = []
    try:
        while True:
            messages.append(await heard(websocket))
    except ConnectionClosed:
        return messages
