"""The pictures of a fixed camera, published to a broker as streams that start from one another."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import camera
import numpy as np
import pytest
import sources
from broker import broker
from mirroring import mirroring
from PIL import Image
from serving import settled

import diffc_client
from diffc_client import ModelDecoders
from diffc_server import Catalogue, FileOpener, Pipeline
from diffc_server.catalogue.cameras import Cameras
from diffc_server.mqtt import plan
from diffc_server.mqtt.options import Extent
from diffc_server.mqtt.publisher import Publisher
from diffc_stream import save_png
from diffc_stream.codec import Decoder, Encoder, extent
from diffc_stream.errors import MissingReference
from diffc_stream.metrics import psnr
from diffc_stream.references import References, among
from diffc_stream.transport.mqtt import Broker, connected
from diffc_stream.transport.mqtt_topics import Item, Summary, Topics

pytestmark = pytest.mark.asyncio
MODELS = sources.collection(camera.MODEL)
TOPICS = Topics("cam")
COUNT = 4
MOST = 900
"""Bytes of each picture that are published."""


@pytest.fixture(autouse=True)
def _enough_to_start_from(monkeypatch: pytest.MonkeyPatch) -> None:
    # Pictures as small as these are too coarse for each other at half a bit per pixel.
    monkeypatch.setattr(extent, "MOST_BPP", 1.5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return camera.photograph(tmp_path / "served", COUNT)


def take(folder: Path, number: int) -> None:
    """Take another picture."""
    path = folder / f"{number}.png"
    save_png(path, camera.frames(number + 1)[number])
    os.utime(path, (camera.TAKEN + 60 * number,) * 2)


@asynccontextmanager
async def publishing(
    port: int,
    folder: Path,
    *,
    most: int | None = MOST,
    psnr: float | None = None,
    pictures: int = 100,
    cameras: Cameras | None = None,
    **options: Any,
) -> AsyncIterator[Publisher]:
    pipeline = Pipeline(FileOpener(MODELS), starts=extent.Rule(bytes=most, psnr=psnr))
    publisher = Publisher(
        Broker.parse(f"mqtt://127.0.0.1:{port}/cam"),
        Catalogue(folder, cameras=cameras or Cameras()),
        pipeline,
        extent=Extent(piece=500, bytes=most, psnr=psnr, pictures=pictures),
        patience=0.5,
        draw=lambda: 0.1,
        **options,
    )
    async with publisher:
        yield publisher
    pipeline.close()


async def held(port: int) -> tuple[dict[str, Item], dict[str, bytes], dict[str, bytes]]:
    """Return the items, the streams, by name, and everything by topic, that the broker keeps."""
    found: dict[str, bytes] = {}
    async with connected(Broker.parse(f"mqtt://127.0.0.1:{port}/cam")) as client:
        await client.subscribe("#", 1)
        await client.subscribe("end", 1)
        await client.publish("end", b"!", 1)
        async for message in client.messages:
            if str(message.topic) == "end":
                break
            assert isinstance(message.payload, bytes)
            found[str(message.topic)] = message.payload
    items = {
        name: Item.parse(data) for topic, data in found.items() if (name := TOPICS.named(topic))
    }
    streams = {
        name: b"".join(found[TOPICS.piece(item, offset)] for offset in item.offsets)
        for name, item in items.items()
    }
    pieces = sum(len(item.offsets) for item in items.values())
    assert sum(TOPICS.placed(topic) is not None for topic in found) == pieces
    assert Summary.parse(found[TOPICS.catalogue]) == Summary.of(items.values())
    return items, streams, found


def starts(items: dict[str, Item]) -> dict[str, str | None]:
    """Return what each picture starts from."""
    return {name: item.start.name if item.start else None for name, item in sorted(items.items())}


def decoded(streams: dict[str, bytes], name: str) -> np.ndarray[Any, Any]:
    decoder = Decoder(MODELS, references=References(MODELS, among(streams.values())))
    decoder.feed(streams[name])
    return decoder.render().image


def names(publisher: Publisher) -> set[str]:
    """Return what is published, once that is all of it."""
    return {item.name for item in publisher.published} if publisher.complete else set()


async def test_each_starts_from_the_one_before_and_receivers_find_it(
    tmp_path: Path, folder: Path
) -> None:
    with broker(tmp_path) as port:
        async with publishing(port, folder, camera=MODELS) as publisher:
            await settled(lambda: len(names(publisher)) == COUNT and bool(publisher._shown))
        items, streams, found = await held(port)
        url = f"mqtt://127.0.0.1:{port}/cam"
        async with diffc_client.connect(url, decoders=ModelDecoders(MODELS)) as receiver:
            assert await receiver.images() == sorted(items)
            seen = [one.image async for one in receiver.open("3.png", bytes=300)]
        async with mirroring(tmp_path / "kept", url) as watcher:
            await watcher.until_complete(*items)
        # A process that comes later publishes nothing again, but goes on.
        take(folder, COUNT)
        async with publishing(port, folder) as publisher:
            await settled(lambda: len(names(publisher)) == COUNT + 1)
        later, _, _ = await held(port)
    assert starts(items) == {"0.png": None, "1.png": "0.png", "2.png": "1.png", "3.png": "2.png"}
    assert later.items() >= items.items()
    assert starts(later)["4.png"] == "3.png"
    single = Decoder(MODELS)
    single.feed(streams["0.png"])
    assert np.array_equal(decoded(streams, "0.png"), single.render().image)
    assert np.array_equal(decoded(streams | {"3.png": streams["3.png"][:300]}, "3.png"), seen[-1])
    for name, data in streams.items():
        assert (tmp_path / "kept" / f"{name}.dfc").read_bytes() == data
        assert len(data) == MOST
    with Image.open(io.BytesIO(found[TOPICS.image])) as picture:
        shown = np.asarray(picture.convert("RGB")).astype(float)
    assert np.abs(shown - decoded(streams, "3.png")).mean() < 8


async def test_who_knows_no_such_streams_sees_the_key_pictures(
    tmp_path: Path, folder: Path
) -> None:
    with broker(tmp_path) as port:
        async with publishing(port, folder, cameras=Cameras(key_every=120)) as publisher:
            await settled(lambda: len(names(publisher)) == COUNT)
        items, streams, found = await held(port)
    assert starts(items) == {"0.png": None, "1.png": "0.png", "2.png": None, "3.png": "2.png"}
    # Receivers of before take items of version 1 only, and what the summary says of pictures.
    assert [b'{"version":1,' in found[TOPICS.picture(name)] for name in sorted(items)] == [
        *(True, False, True, False)
    ]
    keys = Summary.of([items["0.png"], items["2.png"]])
    assert found[TOPICS.catalogue].startswith(keys.message()[:-1])
    for number in (0, 2):
        frame = camera.frames(COUNT)[number]
        single = b"".join(Encoder(frame, camera.MODEL, target_bytes=MOST))
        assert streams[f"{number}.png"] == single


async def test_what_others_start_from_is_no_longer_than_what_is_published(
    tmp_path: Path, folder: Path
) -> None:
    with broker(tmp_path) as port:
        async with publishing(port, folder, most=600) as publisher:
            await settled(lambda: len(names(publisher)) == COUNT)
        items, streams, _ = await held(port)
        async with publishing(port, folder, most=200) as publisher:
            await settled(lambda: {item.size for item in publisher.published} == {200})
            await settled(lambda: len(names(publisher)) == COUNT)
        single, _, _ = await held(port)
    assert starts(items)["3.png"] == "2.png"
    assert {item.start.size for item in items.values() if item.start} == {512}
    assert decoded(streams, "3.png").shape == (64, 64, 3)
    # Less than a step of the rule is not enough to start from.
    assert set(starts(single).values()) == {None}


async def test_a_quality_takes_less_of_what_has_not_changed(tmp_path: Path, folder: Path) -> None:
    with broker(tmp_path) as port:
        async with publishing(port, folder, most=None, psnr=24.0) as publisher:
            await settled(lambda: len(names(publisher)) == COUNT)
        items, streams, _ = await held(port)
        plain = Cameras(key_every=1)
        async with publishing(port, folder, most=None, psnr=24.5, cameras=plain) as publisher:
            await settled(lambda: len(names(publisher)) == COUNT and publisher.complete)
        single, _, _ = await held(port)
    assert starts(items)["3.png"] == "2.png"
    assert items["3.png"].size < single["3.png"].size * 0.6
    assert psnr(decoded(streams, "3.png"), camera.frames(COUNT)[3]) > 20.5


async def test_what_a_picture_goes_back_to_stays_as_long_as_it(
    tmp_path: Path, folder: Path
) -> None:
    cameras = Cameras(key_every=180)  # 3.png is a key picture
    with broker(tmp_path) as port:
        async with publishing(port, folder, pictures=2, cameras=cameras) as publisher:
            await settled(lambda: names(publisher) == {"2.png", "3.png"})
        items, _, _ = await held(port)
        assert starts(items) == {"2.png": None, "3.png": None}
        async with publishing(port, folder, pictures=3, cameras=cameras) as publisher:
            await settled(lambda: len(names(publisher)) == 3)
            # Deleted at the sender, or too old, they stay; the new one starts from the last.
            (folder / "3.png").unlink()
            take(folder, 4)
            await settled(lambda: "4.png" in names(publisher))
            take(folder, 5)
            await settled(lambda: "5.png" in names(publisher) and "1.png" not in names(publisher))
        items, streams, _ = await held(port)
        for name in items:
            decoded(streams, name)


async def test_a_deleted_picture_makes_no_other_stream_of_those_after_it(
    tmp_path: Path, folder: Path
) -> None:
    with broker(tmp_path) as port:
        async with publishing(port, folder) as publisher:
            await settled(lambda: len(names(publisher)) == COUNT)
            before = {item.name: item for item in publisher.published}
            (folder / "0.png").unlink()
            take(folder, 4)
            await settled(lambda: len(names(publisher)) == 5)
            assert {item.name: item for item in publisher.published}.items() >= before.items()
            # What the sender has no longer cannot be encoded again: a key picture follows.
            take(folder, 5)
            await settled(lambda: len(names(publisher)) == 6)
            # Nothing goes back to a deleted picture any more: it is cleared.
            for number in (1, 2, 3):
                (folder / f"{number}.png").unlink()
            await settled(lambda: names(publisher) == {"4.png", "5.png"})
        items, _, _ = await held(port)
    assert starts(items) == {"4.png": None, "5.png": "4.png"}


async def test_a_replaced_picture_makes_those_that_start_from_it_new(
    tmp_path: Path, folder: Path
) -> None:
    with broker(tmp_path) as port:
        async with publishing(port, folder) as publisher:
            await settled(lambda: len(names(publisher)) == COUNT)
            before = dict(publisher._plan.there)
            save_png(folder / "1.png", sources.picture(7))
            os.utime(folder / "1.png", (camera.TAKEN + 61,) * 2)
            await settled(lambda: publisher._plan.there["3.png"] != before["3.png"])
            await settled(lambda: publisher.complete)
        items, streams, _ = await held(port)
        assert items["0.png"] == before["0.png"]
        for name in items:
            decoded(streams, name)


async def test_the_newest_does_not_wait_for_many(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "MOST_BEHIND", 2)
    with broker(tmp_path) as port:
        async with publishing(port, folder) as publisher:
            await settled(lambda: len(names(publisher)) == COUNT)
            order = [item.name for item in publisher.published]
            take(folder, 4)
            await settled(lambda: len(names(publisher)) == 5)
        items, _, _ = await held(port)
    assert order == ["3.png", "0.png", "1.png", "2.png"]
    keys = dict.fromkeys(("0.png", "3.png"))
    assert starts(items) == {**keys, "1.png": "0.png", "2.png": "1.png", "4.png": "3.png"}


async def test_a_receiver_says_what_it_lacks(
    tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "diffc_client")
    with broker(tmp_path) as port:
        async with publishing(port, folder) as publisher:
            await settled(lambda: len(names(publisher)) == COUNT)
        items, _, _ = await held(port)
        async with connected(Broker.parse(f"mqtt://127.0.0.1:{port}/cam")) as client:
            for offset in items["1.png"].offsets:  # the broker has lost them
                await client.publish(TOPICS.piece(items["1.png"], offset), b"", 1, retain=True)
            await client.publish(TOPICS.picture("1.png"), b"", 1, retain=True)
            rest = Summary.of(item for name, item in items.items() if name != "1.png")
            await client.publish(TOPICS.catalogue, rest.message(), 1, retain=True)
        url = f"mqtt://127.0.0.1:{port}/cam"
        async with diffc_client.connect(
            url, decoders=ModelDecoders(MODELS), patience=0.0
        ) as receiver:
            with pytest.raises(MissingReference, match=r"1\.png\.dfc") as caught:
                async for _ in receiver.open("3.png"):
                    pass
            assert "\n" not in str(caught.value)
        # The sender finds out, and mends it.
        async with publishing(port, folder) as publisher:
            await settled(lambda: len(names(publisher)) == COUNT)
        mended, streams, _ = await held(port)
        assert decoded(streams, "3.png").shape == (64, 64, 3)
        assert mended == items
