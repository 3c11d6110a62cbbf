"""TLS connections of daemons take little memory, and the garbage collector has little to do."""

from __future__ import annotations

import asyncio
import gc
import sys
from asyncio import sslproto
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from authority import issue

from diffc_stream.transport.footprint import FULL_COLLECTION, TLS_BUFFER, keep_small
from diffc_stream.transport.tls import Certificate, believing


@pytest.fixture
def kept_small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Call keep_small() for one test."""
    monkeypatch.setattr(sslproto.SSLProtocol, "max_size", sslproto.SSLProtocol.max_size)
    thresholds = gc.get_threshold()
    keep_small()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@asynccontextmanager
async def echoing(certificate: Certificate) -> AsyncIterator[int]:
    """Send back over TLS what arrives, until there is no more; yield the port."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5 * TLS_BUFFER))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=certificate.context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.asyncio
async def test_long_messages_pass_through_small_buffers(kept_small: None, tmp_path: Path) -> None:
    issued = issue(tmp_path)
    sent = bytes(range(256)) * (5 * TLS_BUFFER // 256)
    async with echoing(Certificate(issued.chain)) as port:
        trusting = believing(issued.ca)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
        writer.write(sent)
        assert await reader.readexactly(len(sent)) == sent
        buffers = [
            len(protocol.get_buffer(-1))
            for protocol in gc.get_objects()
            if type(protocol) is sslproto.SSLProtocol
        ]
        assert set(buffers) == {TLS_BUFFER}
        writer.close()
        await writer.wait_closed()


def test_the_collector_does_not_look_at_what_was_there_before(kept_small: None) -> None:
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects()) < 1_000


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="collects in small steps")
def test_the_collector_looks_at_all_objects_less_often(kept_small: None) -> None:
    assert gc.get_threshold()[2] == FULL_COLLECTION
