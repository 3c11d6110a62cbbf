"""What websockets does alone: a server that sends frames like a sender's, and nothing else.

    python -m diffc_benchmarks.plain_server

It answers HELLO and OPEN, and then sends the same DATA of 1 kB of payload over and over, as fast as
the receiver takes it; acknowledgements are read and mean nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from diffc_stream.session import MAX_WINDOW, SUBPROTOCOL
from diffc_stream.session.coding import encode
from diffc_stream.session.messages import Data, Welcome

from .command import exit_code

BATCH = 64
"""Frames after which the others get a turn."""


async def _converse(websocket: ServerConnection) -> None:
    try:
        await websocket.recv()
        await websocket.send(encode(Welcome(window=MAX_WINDOW, idle=600.0, streams=1)))
        await websocket.recv()
        reading = asyncio.create_task(_read(websocket))
        message = encode(Data(stream=1, offset=65_536, payload=bytes(1000)))
        while not reading.done():
            for _ in range(BATCH):
                await websocket.send(message)
            await asyncio.sleep(0)
    except ConnectionClosed:
        pass  # it has seen enough


async def _read(websocket: ServerConnection) -> None:
    async for _ in websocket:
        pass


async def _serve() -> None:
    async with serve(
        _converse,
        "127.0.0.1",
        0,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        compression=None,
        ping_interval=None,
        write_limit=4096,
    ) as server:
        port: int = next(iter(server.sockets)).getsockname()[1]
        print(json.dumps({"url": f"ws://127.0.0.1:{port}"}), flush=True)
        await server.serve_forever()


def main() -> None:
    """Run the command."""
    asyncio.run(_serve())


if __name__ == "__main__":
    sys.exit(exit_code("benchmarks.plain_server", main))
