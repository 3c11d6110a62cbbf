"""The real codec in the daemons: exact models, so no weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sources

import diffc_client
from diffc_client import MemoryStream, ModelDecoders
from diffc_server import (
    CachingOpener,
    Catalogue,
    FileOpener,
    Opener,
    Pipeline,
    SenderDaemon,
)
from diffc_stream import save_png
from diffc_stream.codec import Decoder, Encoder
from diffc_stream.container import Header
from diffc_stream.errors import NotAStream, PrefixMismatch, UnknownModel, UnreadablePicture

MODEL = sources.independent()
MODELS = sources.collection(MODEL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "served"
    home.mkdir()
    save_png(home / "a.png", sources.picture())
    (home / "ready.dfc").write_bytes(sources.stream())
    (home / "foreign.dfc").write_bytes(b"RIFF of another kind")
    (home / "short.dfc").write_bytes(b"DFC")
    (home / "text.png").write_bytes(b"not a picture")
    return home


def beginning(size: int) -> bytes:
    """The first bytes of the stream of a.png."""
    data = b""
    for piece in Encoder(sources.picture(), MODEL):
        data += piece
        if len(data) >= size:
            break
    return data[:size]


def test_a_picture_becomes_its_stream(folder: Path) -> None:
    opener = FileOpener(MODELS)
    source = opener.open(folder / "a.png")
    assert source.pixels == 64 * 64
    expected = Encoder(sources.picture(), MODEL)
    for piece, wanted in zip(source.pieces, expected, strict=False):
        assert piece == wanted
        if expected.written > 2000:
            break
    assert opener.fingerprints == (MODEL.fingerprint,)


def test_a_stream_is_handed_out_as_it_is(folder: Path) -> None:
    source = FileOpener(MODELS).open(folder / "ready.dfc")
    assert source.pixels == 64 * 64
    assert b"".join(source.pieces) == sources.stream()


def test_a_picture_and_a_stream_go_on_from_what_is_there(folder: Path) -> None:
    opener = FileOpener(MODELS)
    data = b""
    for piece in opener.open(folder / "a.png", prefix=beginning(1000)).pieces:
        data += piece
        if len(data) >= 1000:
            break
    assert beginning(1000) + data[:1000] == beginning(2000)
    ready = opener.open(folder / "ready.dfc", prefix=sources.stream()[:700])
    assert b"".join(ready.pieces) == sources.stream()[700:]
    with pytest.raises(PrefixMismatch, match="has become another stream"):
        list(opener.open(folder / "ready.dfc", prefix=b"DFX").pieces)
    with pytest.raises(PrefixMismatch, match="of the model"):
        opener.open(folder / "a.png", prefix=sources.stream())


@pytest.mark.asyncio
async def test_a_stream_that_rested_goes_on(folder: Path, tmp_path: Path) -> None:
    """With what was computed in memory, and after a restart with what was stored."""
    for length in (1500, 3000):
        pipeline = Pipeline(CachingOpener(FileOpener(MODELS), tmp_path / "cache"))
        stream = pipeline.stream(folder / "a.png")
        await stream.reach(length)
        stream.rest()
        await stream.reach(length + 1000)
        assert stream.read(0, length + 1000) == beginning(length + 1000)
        pipeline.close()


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("foreign.dfc", NotAStream),
        ("short.dfc", NotAStream),
        ("nothing.dfc", UnreadablePicture),
        ("text.png", UnreadablePicture),
        ("nothing.png", UnreadablePicture),
    ],
)
def test_what_cannot_be_opened(folder: Path, name: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        FileOpener(MODELS).open(folder / name)


@pytest.mark.asyncio
async def test_from_file_to_picture(folder: Path, tmp_path: Path) -> None:
    opener = CachingOpener(FileOpener(MODELS), tmp_path / "cache")
    kept = MemoryStream()
    async with (
        SenderDaemon(Catalogue(folder), Pipeline(opener)) as daemon,
        diffc_client.connect(daemon.url, decoders=ModelDecoders(MODELS)) as sender,
    ):
        async for refinement in sender.open("a.png", bytes=900, kept=kept):
            last = refinement
        # More of the same, from where it ended.
        async for refinement in sender.open("a.png", bytes=1800, kept=kept):
            better = refinement
        with pytest.raises(UnknownModel):
            _ = [r async for r in sender.open("ready.dfc")]
    assert kept.read() == beginning(1800)
    assert (last.bytes, better.bytes, better.complete) == (900, 1800, True)
    decoder = Decoder([MODEL])
    decoder.feed(kept.read())
    direct = decoder.render()
    assert np.array_equal(better.image, direct.image)
    assert better.predicted_psnr == direct.predicted_psnr


@pytest.mark.asyncio
@pytest.mark.parametrize("cached", [False, True])
async def test_a_change_of_default_does_not_spoil_what_was_received(
    folder: Path, tmp_path: Path, cached: bool
) -> None:
    """A receiver that has both models comes back to a sender that prefers another one by now."""
    newer = sources.independent("00000002")
    kept = MemoryStream()
    for models in (MODELS, sources.collection(newer, MODEL)):
        opener: Opener = FileOpener(models)
        if cached:
            opener = CachingOpener(opener, tmp_path / "cache")
        decoders = ModelDecoders(sources.collection(MODEL, newer))
        async with (
            SenderDaemon(Catalogue(folder), Pipeline(opener)) as daemon,
            diffc_client.connect(daemon.url, decoders=decoders) as sender,
        ):
            async for refinement in sender.open("a.png", bytes=kept.length + 900, kept=kept):
                last = refinement
    assert (last.bytes, last.complete) == (1800, True)
    assert kept.read() == beginning(1800)


def test_the_preferred_model_is_the_first(folder: Path) -> None:
    newer = sources.independent("00000002")
    opener = FileOpener(sources.collection(newer, MODEL))
    assert opener.fingerprints == ("00000002", "00000001")
    for model, expected in ((None, "00000002"), ("00000001", "00000001")):
        source = opener.open(folder / "a.png", model)
        assert source.model == expected == next(source.pieces)[4:8].hex()
    assert opener.open(folder / "ready.dfc", "00000001").model == sources.SOURCE.fingerprint


def test_a_ready_stream_is_served_without_torch(tmp_path: Path) -> None:
    path = tmp_path / "ready.dfc"
    path.write_bytes(Header(model="0f0f0f0f", width=30, height=20, seed=0).encode() + bytes(100))
    script = (
        "import sys, pathlib, diffc_server\n"
        f"source = diffc_server.FileOpener({{}}).open(pathlib.Path({str(path)!r}))\n"
        "print(source.pixels, sum(map(len, source.pieces)), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.stdout.split(), done.stderr) == (["600", "113", "False"], "")
