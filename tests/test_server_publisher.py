"""What a sender publishes to a broker, and what it does not publish twice."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from broker import broker
from fakes import FakeOpener, stream_of
from PIL import Image
from serving import settled
from sources import collection, model, stream

from diffc_server import Catalogue, Pipeline
from diffc_server.mqtt.camera import Camera
from diffc_server.mqtt.options import Extent
from diffc_server.mqtt.publisher import Publisher
from diffc_server.ops.metrics import SenderMetrics
from diffc_stream.transport.mqtt import Broker, connected
from diffc_stream.transport.mqtt_topics import Item, Summary, Topics

pytestmark = pytest.mark.asyncio
TOPICS = Topics("cam/gate")


def broker_at(port: int) -> Broker:
    return Broker.parse(f"mqtt://127.0.0.1:{port}/cam/gate")


@asynccontextmanager
async def publishing(port: int, folder: Path, **options: Any) -> AsyncIterator[Publisher]:
    pipeline = Pipeline(FakeOpener(length=2500))
    publisher = Publisher(
        broker_at(port), Catalogue(folder), pipeline, patience=0.5, draw=lambda: 0.1, **options
    )
    async with publisher:
        yield publisher
    pipeline.close()


async def held(port: int) -> dict[str, bytes]:
    """Return what the broker keeps, by topic."""
    found: dict[str, bytes] = {}
    async with connected(broker_at(port)) as client:
        await client.subscribe("#", 1)
        await client.subscribe("end", 1)
        await client.publish("end", b"!", 1)
        async for message in client.messages:
            if str(message.topic) == "end":
                return found
            assert isinstance(message.payload, bytes)
            found[str(message.topic)] = message.payload
    return found


def streams(found: dict[str, bytes]) -> dict[str, bytes]:
    """Put the streams together, as anybody can who knows the topics."""
    pieces: dict[str, dict[int, bytes]] = {}
    for topic, data in found.items():
        if (place := TOPICS.placed(topic)) is not None:
            pieces.setdefault(place.name, {})[place.offset] = data
    return {name: b"".join(at[key] for key in sorted(at)) for name, at in pieces.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "served"
    (home / "sub").mkdir(parents=True)
    for number, name in enumerate(("a.png", "sub/b.png", "bad.png")):
        (home / name).write_bytes(b"broken" if name == "bad.png" else name.encode())
        os.utime(home / name, (number, number))
    return home


async def test_published_once(
    tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    extent, metrics = Extent(piece=1000, bytes=2200), SenderMetrics()
    with broker(tmp_path) as port:
        async with publishing(port, folder, extent=extent) as publisher:
            await settled(lambda: len(publisher.published) == 2)
            await settled(lambda: publisher.connected)
        found = await held(port)
        assert streams(found) == {
            name: stream_of(Path(name).name, 2200) for name in ("a.png", "sub/b.png")
        }
        assert max(map(len, found.values())) <= 1000
        items = {Item.parse(found[TOPICS.picture(name)]) for name in ("a.png", "sub/b.png")}
        assert Summary.parse(found[TOPICS.catalogue]) == Summary.of(items)
        assert found[TOPICS.status] == b"offline"
        assert caplog.text.count("bad.png is left out") == 1
        # The next process publishes nothing again, but what is new, and clears what has gone.
        (folder / "a.png").unlink()
        (folder / "sub" / "b.png").rename(folder / "sub" / "c.png")
        (folder / "bad.png").unlink()
        async with publishing(port, folder, extent=extent, metrics=metrics) as publisher:
            await settled(lambda: {item.name for item in publisher.published} == {"sub/c.png"})
        assert streams(await held(port)) == {"sub/c.png": stream_of("c.png", 2200)}
        assert metrics.published < 2200 + 700
        again = SenderMetrics()
        async with publishing(port, folder, extent=extent, metrics=again) as publisher:
            await settled(lambda: len(publisher.published) == 1)
            await settled(lambda: not publisher._changed.is_set() and bool(publisher._plan.entries))
        assert again.published < 20


async def test_the_newest_only(tmp_path: Path, folder: Path) -> None:
    extent = Extent(piece=64, pictures=1)
    (folder / "bad.png").unlink()
    with broker(tmp_path) as port:
        async with publishing(port, folder, extent=extent) as publisher:
            await settled(lambda: [item.name for item in publisher.published] == ["sub/b.png"])
            (folder / "new.png").write_bytes(b"new")
            await settled(lambda: [item.name for item in publisher.published] == ["new.png"])
            (folder / "new.png").write_bytes(b"newer")
            await settled(lambda: publisher._plan.there["new.png"].time > 0)
        assert set(streams(await held(port))) == {"new.png"}


async def test_a_connection_that_breaks_within_a_stream(
    tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "diffc_server")
    (folder / "bad.png").unlink()
    sent: list[str] = []
    with broker(tmp_path) as port:
        async with publishing(port, folder, extent=Extent(piece=500)) as publisher:
            say = publisher._say

            async def breaking(client: Any, topic: str, data: bytes) -> None:
                if TOPICS.placed(topic) and len(sent) == 3:
                    sent.append("cut")
                    await client.__aexit__(None, None, None)
                await say(client, topic, data)
                if TOPICS.placed(topic):
                    sent.append(topic)

            publisher._say = breaking  # type: ignore[method-assign]
            await settled(lambda: len(publisher.published) == 2)
        assert set(streams(await held(port))) == {"a.png", "sub/b.png"}
    assert sent[3] == "cut"
    assert "trying again" in caplog.text


async def test_a_camera_of_home_assistant(tmp_path: Path) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "gate.dfc").write_bytes(stream())
    with broker(tmp_path) as port:
        async with publishing(port, folder, camera=collection(model())) as publisher:
            await settled(lambda: bool(publisher._shown))
        found = await held(port)
    config = json.loads(found["homeassistant/camera/diffc_cam_gate/config"])
    assert config["topic"] == TOPICS.image
    assert config["availability_topic"] == TOPICS.status
    with Image.open(io.BytesIO(found[config["topic"]])) as picture:
        assert (picture.format, picture.size) == ("JPEG", (64, 64))


async def test_a_picture_fits_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = Camera(TOPICS, collection(model()), most_pixels=10_000)
    whole = camera.render(stream())
    monkeypatch.setattr("diffc_server.mqtt.camera.MOST_MESSAGE", len(whole) - 1)
    monkeypatch.setattr("diffc_server.mqtt.camera.SIDE", 64)
    monkeypatch.setattr("diffc_server.mqtt.camera.LEAST_SIDE", 10)
    assert len(camera.render(stream())) < len(whole)
