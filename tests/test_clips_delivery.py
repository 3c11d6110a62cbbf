"""Clips on their way: delivered as any stream, and shown by their first picture."""

from pathlib import Path

import numpy as np
import pytest
from fakes import FakeOpener
from serving import serving
from sources import by_scale, collection, picture

import diffc_client
from diffc_client import MemoryStream
from diffc_client.decoding.decoders import ModelDecoders
from diffc_stream.clips import ClipDecoder, ClipEncoder


@pytest.mark.asyncio
async def test_a_clip_is_delivered_and_goes_on(tmp_path: Path) -> None:
    shown = [picture(1), picture(1), picture(2)]
    encoder = ClipEncoder(shown, by_scale(), milliseconds=100, target_bytes=900)
    stream = b"".join(encoder)
    (tmp_path / "clip.dfc").write_bytes(stream)
    kept, images = MemoryStream(), []
    decoders = ModelDecoders(collection(by_scale()))
    async with serving(tmp_path, FakeOpener(fingerprints=("00000002",))) as daemon:
        for size in (400, 900):
            async with diffc_client.connect(daemon.url, decoders=decoders) as source:
                delivery = source.open("clip.dfc", kept=kept, bytes=size)
                images += [refinement.image async for refinement in delivery]
            assert kept.read() == stream[:size]
    decoder = ClipDecoder([by_scale()])
    decoder.feed(stream)
    assert np.array_equal(images[-1], decoder.render(0))
