"""How much of each picture's stream is published over MQTT."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import camera
import pytest
import pytest_asyncio
import sources

from diffc_server import Catalogue, FileOpener, Pipeline
from diffc_server.catalogue.cameras import Cameras
from diffc_server.mqtt.options import Extent
from diffc_server.mqtt.streams import Streams
from diffc_stream.codec import Encoder
from diffc_stream.codec.curve import Curve
from diffc_stream.errors import RequestRefused
from diffc_stream.session import Entry

pytestmark = pytest.mark.asyncio
ENTRY = Entry(name="0.png", size=1, time=1, thumbprint="0" * 16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return camera.photograph(tmp_path / "served", 2)


@pytest_asyncio.fixture
async def pipeline() -> AsyncIterator[Pipeline]:
    made = Pipeline(FileOpener(sources.collection(camera.MODEL)))
    yield made
    made.close()


async def test_until_it_is_good_enough(folder: Path, pipeline: Pipeline) -> None:
    catalogue = Catalogue(folder)
    data = {}
    for extent in (Extent(psnr=21.0), Extent(psnr=21.0, bytes=150), Extent(bytes=700)):
        stream = await Streams(catalogue, pipeline, extent).read("0.png")
        assert (stream.start, stream.beginning) == (None, None)
        data[extent] = stream.data
    good, short, long = data.values()
    curve = Curve()
    curve.feed(good)
    assert curve.reaching(21.0) == len(good)
    assert (len(short), len(long)) == (150, 700)
    whole = b"".join(Encoder(camera.frames(2)[0], camera.MODEL, target_bytes=700))
    assert long == whole
    assert whole.startswith(good)
    assert good.startswith(short)


async def test_what_it_was_made_of(folder: Path, pipeline: Pipeline) -> None:
    catalogue = Catalogue(folder)
    extents = (Extent(), Extent(psnr=30.0), Extent(psnr=31.0), Extent(bytes=99), Extent(piece=99))
    made = {Streams(catalogue, pipeline, extent).source(ENTRY) for extent in extents}
    assert len(made) == len(extents)


async def test_nothing_comes_before_what_is_not_there(folder: Path, pipeline: Pipeline) -> None:
    streams = Streams(Catalogue(folder, cameras=Cameras()), pipeline, Extent(bytes=700))
    assert [file.path.name for file in await streams.before("1.png")] == ["0.png"]
    assert await streams.before("gone.png") == ()
    with pytest.raises(RequestRefused):
        await streams.read("gone.png")
    assert await Streams(Catalogue(folder), pipeline, Extent()).before("1.png") == ()
