"""Visitors of a sender daemon, with a token and without, who may do as they like."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from http_client import head_of, request
from websocket_client import HELLO, heard
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from diffc_server.auth.access_control import AccessControl
from diffc_server.auth.limits import Limits
from diffc_stream.session import SUBPROTOCOL, Welcome
from diffc_stream.transport.tokens import Tokens


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """The file of tokens."""
    return tmp_path / "tokens.toml"


def clock() -> float:
    return asyncio.get_running_loop().time()


def guard(held: Path, limits: Limits | None = None, *, secure: bool = False) -> AccessControl:
    return AccessControl(tokens=Tokens(held), limits=limits, secure=secure, clock=clock)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def dial(
    url: str,
    fields: dict[str, str] | None = None,
    *,
    origin: str | None = None,
    offers: Iterable[str] = (),
    secure: ssl.SSLContext | None = None,
) -> connect:
    return connect(
        url,
        subprotocols=[Subprotocol(offer) for offer in (SUBPROTOCOL, *offers)],
        additional_headers=fields,
        origin=Origin(origin) if origin else None,
        proxy=None,
        ssl=secure,
    )


async def status_of(opening: connect) -> int:
    with pytest.raises(InvalidStatus) as caught:
        await opening
    status: int = caught.value.response.status_code
    return status


async def asked(port: int, *lines: bytes) -> bytes:
    """Return all that is answered to some bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.writelines(lines)
    with suppress(ConnectionError):
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer
    return b""


async def status(port: int, path: str, *fields: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(path, *fields))
    code, _ = await head_of(reader)
    writer.transport.abort()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return code


@asynccontextmanager
async def greeted(
    url: str, fields: dict[str, str] | None = None
) -> AsyncIterator[ClientConnection]:
    async with dial(url, fields) as websocket:
        await websocket.send(HELLO)
        assert isinstance(await heard(websocket), Welcome)
        yield websocket


def upgrade(host: str, *origins: str) -> list[str]:
    """Return the headers that open a WebSocket to whatever calls itself ``host``."""
    return [
        f"Host: {host}",
        *(f"Origin: {origin}" for origin in origins),
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}",
    ]
