"""A web server for files, as static sites have: it answers ranges, and can keep bytes back."""

from __future__ import annotations

import asyncio
import mimetypes
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

TYPES = {
    "": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
}


@dataclass(slots=True)
class Gate:
    """Keeps the rest of a file back, from a byte on, until it is opened."""

    after: int
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client has gone before it was opened."""


@dataclass(slots=True)
class StaticSite:
    """Files by path, the folders below some paths, and what was asked for."""

    files: dict[str, bytes | str] = field(default_factory=dict)
    folders: Mapping[str, Path] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    """Headers of all answers."""
    gates: dict[str, Gate] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    """Each path that was asked for, with its range, as in ``/a.dfc 0-99``."""
    url: str = ""

    def of(self, suffix: str) -> list[str]:
        """Return what was asked for of files with a suffix."""
        return [line for line in self.asked if line.split(" ")[0].endswith(suffix)]

    def _content(self, path: str) -> bytes | None:
        if path in self.files:
            content = self.files[path]
            return content.encode() if isinstance(content, str) else content
        for below, folder in self.folders.items():
            file = folder / path.removeprefix(below)
            if path.startswith(below) and file.is_file():
                return file.read_bytes()
        return None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and close the connection."""
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = request.split(" ")[1].partition("?")[0]
        span = re.search(r"^range: *bytes=(\d+)-(\d*)\r$", request, re.MULTILINE | re.IGNORECASE)
        self.asked.append(" ".join([path, *([f"{span[1]}-{span[2]}"] if span else [])]))
        data = self._content(path)
        if data is None:
            writer.write(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            await writer.drain()
            return
        first, last = 0, len(data)
        head = ["HTTP/1.1 200 OK"]
        if span is not None:
            first, last = int(span[1]), min(int(span[2] or last) + 1, last)
            head = [
                "HTTP/1.1 206 Partial Content",
                f"Content-Range: bytes {first}-{last - 1}/{len(data)}",
            ]
        suffix = Path(path).suffix
        kind = TYPES.get(suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"
        head += [f"{name}: {value}" for name, value in self.fields.items()]
        head += [f"Content-Type: {kind}", f"Content-Length: {last - first}", "Connection: close"]
        writer.write("\r\n".join([*head, "", ""]).encode())
        gate = self.gates.get(path)
        if gate is not None and first <= gate.after < last:
            writer.write(data[first : gate.after])
            await writer.drain()
            if not await self._waited(gate, reader):
                return
            first = gate.after
        writer.write(data[first:last])
        await writer.drain()

    async def _waited(self, gate: Gate, reader: asyncio.StreamReader) -> bool:
        """Wait until a gate is opened; tell whether the client is still there."""
        leaving = asyncio.create_task(reader.read())
        opening = asyncio.create_task(gate.opened.wait())
        await asyncio.wait((leaving, opening), return_when=asyncio.FIRST_COMPLETED)
        opening.cancel()
        leaving.cancel()
        if not gate.opened.is_set():
            gate.left.set()
        return gate.opened.is_set()


@asynccontextmanager
async def static_site(**content: object) -> AsyncIterator[StaticSite]:
    """Serve files; ``content`` are the attributes of the site."""
    site = StaticSite(**content)  # type: ignore[arg-type]
    tasks: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await site.serve(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    site.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        async with server:
            yield site
    finally:
        for gate in site.gates.values():
            gate.opened.set()
        await asyncio.gather(*tasks)
