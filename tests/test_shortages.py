"""Without threads or memory for it a request is told to come back, and everything lives on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serving import pictures, serving, settled
from test_client_listener import dial as dial_hub
from test_server_health import ask
from test_transport_listener import served
from websocket_client import HELLO, dial, heard
from websockets.exceptions import ConnectionClosed, InvalidStatus

from diffc_client import Listener
from diffc_server import Catalogue
from diffc_server.encoding.shared_stream import SharedStream
from diffc_server.ops.health import status_port
from diffc_server.ops.metrics import SenderMetrics
from diffc_stream.flags import Endpoint
from diffc_stream.session import Code, Data, Error, List, Open, Welcome, encode

pytestmark = pytest.mark.asyncio

Failing = Callable[[], None]


def no_memory() -> None:
    raise MemoryError


def no_threads() -> None:
    raise RuntimeError("can't start new thread")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


@contextmanager
def without_threads() -> Iterator[None]:
    """Let no thread be started, and none of those that there are be used."""

    def start(*_: object) -> None:
        no_threads()

    loop = asyncio.get_running_loop()
    executor = loop._default_executor  # type: ignore[attr-defined]
    loop._default_executor = None  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "_start_new_thread", start)
        yield
    if loop._default_executor is not None:  # type: ignore[attr-defined]
        loop._default_executor.shutdown(wait=False, cancel_futures=True)  # type: ignore[attr-defined]
    loop._default_executor = executor  # type: ignore[attr-defined]


async def test_requests_without_threads(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(folder) as daemon, dial(daemon.url) as websocket:
        await websocket.send(HELLO)
        assert isinstance(await heard(websocket), Welcome)
        with without_threads():
            assert await served(daemon.port) == 503
            await websocket.send(encode(Open(stream=1, image="a.png")))
            refused = await heard(websocket)
            assert isinstance(refused, Error)
            assert (refused.code, refused.retry) == (Code.BUSY, True)
        assert await served(daemon.port) == 200
        await websocket.send(encode(Open(stream=2, image="a.png")))
        assert isinstance(await heard(websocket), Data)
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("fail", [no_memory, no_threads])
async def test_a_claim_that_cannot_be_checked_now(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fail: Failing
) -> None:
    monkeypatch.setattr(SharedStream, "prefix", lambda *_: fail())
    async with serving(folder) as daemon, dial(daemon.url) as websocket:
        await websocket.send(HELLO)
        assert isinstance(await heard(websocket), Welcome)
        await websocket.send(encode(Open(stream=1, image="a.png", start=100, prefix="0" * 16)))
        refused = await heard(websocket)
        assert isinstance(refused, Error)
        assert (refused.code, refused.retry) == (Code.BUSY, True)


@pytest.mark.parametrize("fail", [no_memory, no_threads])
async def test_a_list_that_cannot_be_made_ends_one_connection(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fail: Failing
) -> None:
    async with serving(folder) as daemon, dial(daemon.url) as other:
        await other.send(HELLO)
        assert isinstance(await heard(other), Welcome)
        async with dial(daemon.url) as websocket:
            await websocket.send(HELLO)
            assert isinstance(await heard(websocket), Welcome)
            with monkeypatch.context() as patch:
                patch.setattr(type(daemon._catalogue.changes), "listing", lambda _: fail())
                await websocket.send(encode(List()))
                with pytest.raises(ConnectionClosed) as caught:
                    await heard(websocket)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1013
        await other.send(encode(Open(stream=1, image="a.png")))
        assert isinstance(await heard(other), Data)
        await settled(lambda: daemon.connections == 1)
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("fail", [no_memory, no_threads])
async def test_a_picture_that_cannot_be_looked_at_is_busy(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fail: Failing
) -> None:
    async with serving(folder) as daemon, dial(daemon.url) as websocket:
        await websocket.send(HELLO)
        assert isinstance(await heard(websocket), Welcome)
        with monkeypatch.context() as patch:
            patch.setattr(Catalogue, "file", lambda *_: fail())
            assert await served(daemon.port) == 503
            await websocket.send(encode(Open(stream=1, image="a.png")))
            refused = await heard(websocket)
        assert isinstance(refused, Error)
        assert refused.code == Code.BUSY
        assert await served(daemon.port) == 200


async def test_who_watches_hears_of_it() -> None:
    async with status_port(Endpoint(host="127.0.0.1", port=0), SenderMetrics(), str) as port:
        with without_threads():
            status, text = await ask(port.url, "/readyz")
            assert (status, text) == (503, "it has no threads or no memory left\n")
            assert (await ask(port.url, "/livez"))[0] == 200
        assert (await ask(port.url, "/readyz"))[0] == 200


async def test_a_hub_tells_senders_to_come_back(tmp_path: Path) -> None:
    async with Listener(tmp_path / "kept") as listener:
        with without_threads(), pytest.raises(InvalidStatus) as caught:
            await dial_hub(listener.port)
        assert caught.value.response.status_code == 503
        async with dial_hub(listener.port):
            pass
