"""Requests over HTTP, byte by byte, and what is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from diffc_server import SenderDaemon


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def tag(self) -> str:
        return self.fields["ETag"]


@asynccontextmanager
async def asking(
    daemon: SenderDaemon, request: bytes, *, limit: int = 2**16
) -> AsyncIterator[asyncio.StreamReader]:
    """Send something, and give what comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port, limit=limit)
    try:
        writer.write(request)
        yield reader
    finally:
        writer.close()
        await writer.wait_closed()


def request(path: str, *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    named = any(field.lower().startswith("host:") for field in fields)
    host = [] if named or version == "1.0" else ["Host: localhost:8765"]
    return "\r\n".join([f"{method} {path} HTTP/{version}", *host, *fields, "", ""]).encode()


async def head_of(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    line, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    return int(line.split(" ")[1]), dict(field.split(": ", 1) for field in fields)


async def ask(daemon: SenderDaemon, path: str, *fields: str, method: str = "GET") -> Answer:
    async with asking(daemon, request(path, *fields, method=method)) as reader:
        status, found = await head_of(reader)
        body = await reader.read()
    assert found["Connection"] == "close"
    if found.get("Transfer-Encoding") == "chunked":
        assert "Content-Length" not in found
        body = unchunked(body)
    elif method != "HEAD" and status != 304:
        assert int(found["Content-Length"]) == len(body)
    else:
        assert body == b""
    return Answer(status, found, body)


def unchunked(body: bytes) -> bytes:
    data = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        chunk, body = body[: int(size, 16)], body[int(size, 16) :]
        assert body.startswith(b"\r\n")
        body = body[2:]
        data += chunk
        if not chunk:
            assert body == b""
            return data
