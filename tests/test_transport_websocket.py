"""WebSockets as both daemons open and serve them."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import InvalidStatus, NegotiationError
from websockets.http11 import Request, Response

from diffc_stream.session import MAX_MESSAGE, SUBPROTOCOL
from diffc_stream.transport.pacing import PacedServerConnection
from diffc_stream.transport.websocket import ProcessRequest, connect, listen

pytestmark = pytest.mark.asyncio


async def admit(_: ServerConnection, __: Request) -> None:
    return None


async def redirect(connection: ServerConnection, _: Request) -> Response:
    response = connection.respond(302, "elsewhere\n")
    response.headers["Location"] = "ws://127.0.0.1:1/"
    return response


@asynccontextmanager
async def served(
    process_request: ProcessRequest = admit, subprotocol: str | None = SUBPROTOCOL
) -> AsyncIterator[str]:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    server = await listen(
        socket.create_server(("127.0.0.1", 0)),
        echo,
        process_request=process_request,
        make=PacedServerConnection,
        logger="tests.websocket",
        subprotocol=subprotocol,
    )
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_answers_to_head_have_no_body() -> None:
    async with served(redirect) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    assert head.startswith(b"HTTP/1.1 302 ")
    assert b"Content-Length: 10" in head  # what GET would bring
    assert body == b""


async def test_the_largest_message_passes_uncompressed_and_unsigned() -> None:
    async with served() as url:
        connection = await connect(url, subprotocol=SUBPROTOCOL)
        await connection.send(bytes(MAX_MESSAGE))
        assert await connection.recv() == bytes(MAX_MESSAGE)
        assert connection.response is not None
        assert "Server" not in connection.response.headers
        assert connection.protocol.extensions == []
        await connection.close()


async def test_who_speaks_another_protocol_is_no_peer() -> None:
    async with served(subprotocol=None) as url:
        with pytest.raises(NegotiationError, match=f"does not speak {SUBPROTOCOL}"):
            await connect(url, subprotocol=SUBPROTOCOL)


async def test_where_to_connect_and_whom_to_name_may_differ() -> None:
    named: list[str] = []

    async def hear(_: ServerConnection, request: Request) -> None:
        named.append(request.headers["Host"])

    async with served(hear) as url:
        port = url.rpartition(":")[2]
        uri = f"ws://[fe80::1]:{port}"
        connection = await connect(uri, subprotocol=SUBPROTOCOL, host="127.0.0.1")
        await connection.close()
    assert named == [f"[fe80::1]:{port}"]


async def test_nobody_is_followed_elsewhere() -> None:
    async with served(redirect) as url:
        with pytest.raises(InvalidStatus, match="302"):
            await connect(url, headers={"Authorization": "Bearer abc"})


async def test_mistakes_of_others_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as url:
        host, _, port = url.removeprefix("ws://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"nonsense\r\n\r\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
