"""What a mirror tells who watches."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from serving import pictures, serving, settled
from test_server_health import ask

from diffc_client import Address, Mirror
from diffc_client.mirror.listener import Listener
from diffc_client.mirror.metrics import MirrorMetrics, problem, status_port
from diffc_stream.flags import Endpoint

pytestmark = pytest.mark.asyncio

DOCUMENT = Path(__file__).parent.parent / "docs" / "mirror.md"


def values(text: str) -> dict[str, float]:
    return {
        sample.name + "".join(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("diffc_mirror_")
    }


async def test_what_is_counted_and_when_it_is_ready(tmp_path: Path) -> None:
    folder, metrics = pictures(tmp_path), MirrorMetrics()
    (folder / "bad.png").write_bytes(b"broken")
    endpoint = Endpoint(host="127.0.0.1", port=0)
    kept = tmp_path / "kept"

    def check() -> str:
        return problem(kept, metrics, senders=1)

    async with serving(folder) as daemon, status_port(endpoint, metrics, check) as port:
        assert await ask(port.url, "/livez") == (200, "alive\n")
        assert await ask(port.url, "/readyz") == (503, "the folder is missing\n")
        async with Mirror(kept, on_received=metrics.receive, tell_every=0.01) as mirror:
            metrics.mirrors = lambda: (mirror,)
            assert await ask(port.url, "/readyz") == (503, "the sender is not connected\n")
            running = asyncio.create_task(mirror.run(Address.parse(daemon.url)))
            await settled(lambda: mirror.counting.tally.whole == 3)
            await settled(lambda: mirror.counting.tally.refused == 1)
            assert await ask(port.url, "/readyz") == (200, "ready\n")
            _, text = await ask(port.url, "/metrics")
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            assert await ask(port.url, "/readyz") == (503, "the sender is not connected\n")
    assert values(text) == {
        "diffc_mirror_senders": 1,
        "diffc_mirror_pictureswhole": 3,
        "diffc_mirror_picturescoming": 0,
        "diffc_mirror_picturesrefused": 1,
        "diffc_mirror_held_bytes": 15_000,
        "diffc_mirror_left_bytes": 0,
        "diffc_mirror_received_bytes_total": 15_000,
    }


async def test_a_hub_is_ready_when_senders_may_come(tmp_path: Path) -> None:
    metrics = MirrorMetrics()
    assert problem(tmp_path / "none", metrics, senders=0) == "the folder is missing"
    async with Listener(tmp_path) as listener:
        metrics.mirrors = lambda: listener.mirrors
        assert problem(tmp_path, metrics, senders=0) == ""
        assert b"diffc_mirror_senders 0.0" in metrics.text()


async def test_several_senders_are_there_when_each_is_or_has_sent_all(tmp_path: Path) -> None:
    metrics = MirrorMetrics()
    async with Mirror(tmp_path / "one") as one, Mirror(tmp_path / "two") as two:
        metrics.mirrors = lambda: (one, two)
        assert problem(tmp_path, metrics, senders=3) == "3 of 3 senders are not connected"
        one.connected = two.done = True
        assert problem(tmp_path, metrics, senders=3) == "1 of 3 senders are not connected"
        assert problem(tmp_path, metrics, senders=2) == ""


async def test_all_of_it_is_documented() -> None:
    text = DOCUMENT.read_text()
    for family in MirrorMetrics().collect():
        kind = "_total" if family.type == "counter" else ""
        assert f"`{family.name}{kind}`" in text
