"""The port for who watches a sender, and what is counted there."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fakes import FakeDecoders, FakeOpener
from prometheus_client.parser import text_string_to_metric_families
from serving import pictures, serving, settled

import diffc_client
from diffc_client import MemoryStream
from diffc_server import Catalogue, Pipeline, SenderDaemon
from diffc_server.cache.store import open_store
from diffc_server.ops.health import status_port
from diffc_server.ops.metrics import CODES, ENDS, STORE_FAILURES, SenderMetrics
from diffc_stream.errors import UnknownImage
from diffc_stream.flags import Endpoint
from diffc_stream.session import Reason
from diffc_stream.transport.health import Check

pytestmark = pytest.mark.asyncio

DOCUMENT = Path(__file__).parent.parent / "docs" / "operating.md"


@asynccontextmanager
async def watched(metrics: SenderMetrics | None = None, check: Check = str) -> AsyncIterator[str]:
    endpoint = Endpoint(host="127.0.0.1", port=0)
    async with status_port(endpoint, metrics or SenderMetrics(), check) as port:
        yield port.url


async def ask(url: str, path: str, method: str = "GET", more: str = "") -> tuple[int, str]:
    """Return the status and the text of an answer."""
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{more}\r\n".encode())
    head, _, text = (await reader.read()).decode("latin-1").partition("\r\n\r\n")
    writer.close()
    return int(head.split()[1]), text


async def figure(url: str, name: str, **labels: str) -> float:
    _, text = await ask(url, "/metrics")
    [value] = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if (sample.name, sample.labels) == (name, labels)
    ]
    return value


async def test_alive_and_ready() -> None:
    metrics = SenderMetrics()
    problems = ["", "the folder of pictures is missing"]
    async with watched(metrics, lambda: problems[0]) as url:
        assert await ask(url, "/livez") == (200, "alive\n")
        assert await ask(url, "/readyz") == (200, "ready\n")
        problems.reverse()
        assert await ask(url, "/readyz?verbose") == (503, "the folder of pictures is missing\n")
        metrics.draining = True
        assert await ask(url, "/readyz") == (503, "draining\n")
        assert await ask(url, "/livez") == (200, "alive\n")


async def test_a_disk_that_hangs_is_not_ready_and_holds_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("diffc_stream.transport.health.PATIENCE", 0.01)
    begun, hanging, calls = threading.Event(), threading.Event(), []

    def check() -> str:
        calls.append(1)
        begun.set()
        hanging.wait()
        return ""

    async with watched(check=check) as url:
        for _ in range(3):
            assert await ask(url, "/readyz") == (503, "its disks do not answer\n")
        assert await asyncio.to_thread(begun.wait, 60)
        assert calls == [1]
        assert await ask(url, "/livez") == (200, "alive\n")
        hanging.set()


async def test_a_disk_that_fails_is_not_ready() -> None:
    def check() -> str:
        raise OSError(5, "Input/output error")

    async with watched(check=check) as url:
        assert await ask(url, "/readyz") == (503, "Input/output error\n")


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        *(("/", "GET", 404), ("/metrics/", "GET", 404), ("//livez", "GET", 404)),
        *(("/livez", "HEAD", 405), ("/metrics", "POST", 405)),
    ],
)
async def test_what_else_is_asked_for(path: str, method: str, status: int) -> None:
    async with watched() as url:
        assert (await ask(url, path, method))[0] == status


async def test_it_is_no_way_to_pictures() -> None:
    upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    upgrade += "Sec-WebSocket-Key: c3RyZWFtcyBvZiBieXRlcw==\r\n"
    async with watched() as url:
        assert (await ask(url, "/", more=upgrade))[0] == 404


async def test_too_many_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffc_stream.transport.health.MOST_CONNECTIONS", 1)
    hanging, begun = threading.Event(), threading.Event()

    def check() -> str:
        begun.set()
        hanging.wait()
        return ""

    async with watched(check=check) as url:
        first = asyncio.create_task(ask(url, "/readyz"))
        await asyncio.to_thread(begun.wait)
        assert (await ask(url, "/livez"))[0] == 503
        hanging.set()
        assert (await first)[0] == 200
        assert (await ask(url, "/livez"))[0] == 200


async def test_receivers_find_none_of_it(tmp_path: Path) -> None:
    async with serving(pictures(tmp_path)) as daemon:
        for path in ("/metrics", "/livez", "/readyz"):
            assert (await ask(daemon.url, path))[0] == 404


async def test_what_is_counted(tmp_path: Path) -> None:
    async with (
        serving(pictures(tmp_path), FakeOpener(length=5000)) as daemon,
        watched(daemon.metrics) as url,
    ):
        kept = MemoryStream()
        async with diffc_client.connect(daemon.url, decoders=FakeDecoders()) as sender:
            assert await sender.receive("a.png", kept) is Reason.COMPLETE
            assert await sender.receive("b.png", MemoryStream(), bytes=2000) is Reason.TARGET
            with pytest.raises(UnknownImage):
                await sender.receive("nowhere.png", MemoryStream())
            assert await figure(url, "diffc_connections", kind="websocket") == 1
        await settled(lambda: daemon.connections == 0)
        status, body = await ask(daemon.url, "/a.png.dfc")
        assert (status, len(body) > 1000) == (200, True)
        assert (await ask(daemon.url, "/nowhere"))[0] == 404
        await settled(lambda: daemon.connections == 0)
        assert await figure(url, "diffc_connections", kind="websocket") == 0
        assert await figure(url, "diffc_connections", kind="http") == 0
        assert await figure(url, "diffc_connections_opened_total", kind="websocket") == 1
        assert await figure(url, "diffc_connections_opened_total", kind="http") == 2
        assert await figure(url, "diffc_streams") == 0
        assert await figure(url, "diffc_streams_ended_total", reason="complete") == 1
        assert await figure(url, "diffc_streams_ended_total", reason="target") == 1
        assert await figure(url, "diffc_refusals_total", code="unknown-image") == 1
        assert await figure(url, "diffc_sent_bytes_total", kind="websocket") == 7000
        assert await figure(url, "diffc_sent_bytes_total", kind="http") > 5000
        assert await figure(url, "diffc_frames_total") >= 7
        assert await figure(url, "diffc_first_bytes_seconds_count") == 2
        assert await figure(url, "diffc_http_answers_total", status="2xx") == 1
        assert await figure(url, "diffc_http_answers_total", status="4xx") == 1
        assert await figure(url, "diffc_draining") == 0


@pytest.mark.parametrize("stored", [False, True])
async def test_what_encoders_and_the_store_do_is_counted(tmp_path: Path, stored: bool) -> None:
    folder, metrics, gate = pictures(tmp_path), SenderMetrics(), threading.Semaphore(0)
    place = str(tmp_path / "store")

    async def receive(metrics: SenderMetrics, gate: threading.Semaphore | None) -> None:
        """Receive two pictures, of which one is encoded while the other waits."""
        opener = FakeOpener(length=5000, gate=gate)
        pipeline = Pipeline(opener, store=open_store(place), slots=1, metrics=metrics)
        async with (
            SenderDaemon(Catalogue(folder), pipeline, metrics=metrics) as daemon,
            diffc_client.connect(daemon.url, decoders=FakeDecoders()) as sender,
        ):
            wanted = ("a.png", "b.png")
            tasks = [asyncio.create_task(sender.receive(n, MemoryStream())) for n in wanted]
            if gate is not None and not stored:
                await settled(lambda: metrics.waiting() == 1)
                gate.release(100)
            assert await asyncio.gather(*tasks) == [Reason.COMPLETE] * 2
            await pipeline.save()

    if stored:
        await receive(SenderMetrics(), None)
    await receive(metrics, gate)
    async with watched(metrics) as url:
        assert await figure(url, "diffc_encoder_queue") == 0
        result = "hit" if stored else "miss"
        assert await figure(url, "diffc_store_lookups_total", result=result) == 2
        for name in ("encoder_steps", "encoder_seconds", "store_written_bytes"):
            assert (await figure(url, f"diffc_{name}_total") > 0) != stored


async def test_labels_are_few_and_name_nobody() -> None:
    known = {
        *ENDS,
        *CODES,
        "websocket",
        "http",
        "full",
        "short",
        "draining",
        "forbidden",
        "unauthorized",
        "limited",
        "hit",
        "miss",
        "older",
        "name",
        "here",
        "elsewhere",
        "none",
        "mqtt",
        *STORE_FAILURES,
    }
    known |= {"2xx", "3xx", "4xx", "5xx"}
    for family in text_string_to_metric_families(SenderMetrics().text().decode()):
        for sample in family.samples:
            assert {value for key, value in sample.labels.items() if key != "le"} <= known


async def test_the_document_tells_of_every_metric() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", DOCUMENT.read_text(), re.MULTILINE)
    # Those of the process are Prometheus' own.
    families = SenderMetrics().registry.collect()
    ours = [family for family in families if family.name.startswith("diffc_")]
    names = [family.name + ("_total" if family.type == "counter" else "") for family in ours]
    assert sorted(rows) == sorted(names)


async def asked_as(url: str, host: str, more: str = "") -> int:
    """Return how a request for the metrics is answered that says whom it means."""
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /metrics HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())
    head = await reader.read()
    writer.close()
    return int(head.split()[1])


async def test_names_that_lead_here_by_deceit_are_turned_away() -> None:
    async with watched() as url:
        assert await asked_as(url, "localhost:9765") == 200
        assert await asked_as(url, "127.0.0.1") == 200
        assert await asked_as(url, "evil.example:9765") == 421
        assert await asked_as(url, "localhost", "Host: evil.example\r\n") == 400
        assert await asked_as(url, "localhost", "Origin: https://evil.example\r\n") == 403
        assert await asked_as(url, "localhost", "Sec-Fetch-Site: cross-site\r\n") == 403
        assert await asked_as(url, "localhost", "Sec-Fetch-Site: none\r\n") == 200


async def test_this_machine_may_be_called_by_its_names() -> None:
    endpoint = Endpoint(host="127.0.0.1", port=0)
    async with status_port(endpoint, SenderMetrics(), str, names=["station"]) as port:
        assert await asked_as(port.url, "station:9765") == 200
        assert await asked_as(port.url, "stations:9765") == 421


async def test_who_asks_for_nothing_keeps_no_watcher_out() -> None:
    async with watched() as url:
        port = int(url.rpartition(":")[2])
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        assert await ask(url, "/livez") == (200, "alive\n")
        for _, writer in held:
            writer.transport.abort()
