"""The real codec in the daemons: exact models, so no weights."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import sources
from sources import Floats

import diffc_client
from diffc_client import MemoryStream, ModelDecoders, PeerError
from diffc_client.remote import websocket
from diffc_server import (
    Catalogue,
    FileOpener,
    Pipeline,
    SenderDaemon,
    Store,
    open_store,
)
from diffc_stream import save_png
from diffc_stream.codec import Decoder, Encoder
from diffc_stream.container import Fact, Facts, Header, Metadata, Place
from diffc_stream.diffusion.field import WHITE, Field
from diffc_stream.errors import (
    NotAStream,
    PrefixMismatch,
    RequestRefused,
    UnknownModel,
    UnreadablePicture,
)
from diffc_stream.opening import Identity
from diffc_stream.session.target import Target

MODEL = sources.independent()
MODELS = sources.collection(MODEL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "served"
    home.mkdir()
    save_png(home / "a.png", sources.picture())
    (home / "ready.dfc").write_bytes(sources.stream())
    (home / "long.dfc").write_bytes(sources.stream()[:100] + bytes(49_900))
    (home / "foreign.dfc").write_bytes(b"RIFF of another kind")
    (home / "short.dfc").write_bytes(b"DFC")
    (home / "text.png").write_bytes(b"not a picture")
    return home


def beginning(size: int) -> bytes:
    """The first bytes of the stream of a.png, 6000 at most."""
    assert size <= 6000
    return _beginning()[:size]


@cache
def _beginning() -> bytes:
    data = b""
    for piece in Encoder(sources.picture(), MODEL):
        data += piece
        if len(data) >= 6000:
            break
    return data


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
    with pytest.raises(PrefixMismatch, match="the stream has changed"):
        list(opener.open(folder / "ready.dfc", prefix=b"DFX").pieces)
    with pytest.raises(PrefixMismatch, match="of the model"):
        opener.open(folder / "a.png", prefix=sources.stream())


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_between_two_pieces_nothing_is_open(folder: Path) -> None:
    before, opener = descriptors(), FileOpener(MODELS)
    sources_ = [opener.open(folder / name) for name in ("ready.dfc", "a.png", "long.dfc")]
    for source in sources_:
        assert next(source.pieces)
    assert descriptors() == before
    long = sources_[-1]
    assert sum(map(len, long.pieces)) == 50_000 - 16_384
    assert descriptors() == before


def test_what_is_swapped_in_between_is_not_read(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(50_000))
    source = FileOpener(MODELS).open(folder / "long.dfc")
    assert source.version == Identity.at(folder / "long.dfc")
    next(source.pieces)
    (folder / "long.dfc").unlink()
    (folder / "long.dfc").symlink_to(secret)
    with pytest.raises(OSError, match="Errno"):
        next(source.pieces)


def test_another_in_its_place_is_not_read_on(folder: Path) -> None:
    path = folder / "long.dfc"
    source = FileOpener(MODELS).open(path)
    next(source.pieces)
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data + b"more")
    with pytest.raises(RequestRefused, match="being replaced") as caught:
        next(source.pieces)
    assert caught.value.retry


def test_a_picture_is_no_link(folder: Path, tmp_path: Path) -> None:
    save_png(tmp_path / "secret.png", sources.picture())
    (folder / "b.png").symlink_to(tmp_path / "secret.png")
    (folder / "b.dfc").symlink_to(tmp_path / "secret.png")
    for name in ("b.png", "b.dfc"):
        with pytest.raises(UnreadablePicture):
            FileOpener(MODELS).open(folder / name)


@pytest.mark.asyncio
async def test_a_stream_that_rested_goes_on(folder: Path, tmp_path: Path) -> None:
    """With what was computed in memory, and after a restart with what was stored."""
    for length in (1500, 3000):
        pipeline = Pipeline(FileOpener(MODELS), store=open_store(str(tmp_path / "store")))
        stream = pipeline.stream(folder / "a.png")
        await stream.reach(length)
        stream.rest()
        await stream.reach(length + 1000)
        assert stream.read(0, length + 1000) == beginning(length + 1000)
        await pipeline.save()
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
    pipeline = Pipeline(FileOpener(MODELS), store=open_store(str(tmp_path / "store")))
    kept = MemoryStream()
    async with (
        SenderDaemon(Catalogue(folder), pipeline) as daemon,
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
@pytest.mark.parametrize("stored", [False, True])
async def test_a_change_of_default_does_not_spoil_what_was_received(
    folder: Path, tmp_path: Path, stored: bool
) -> None:
    """A receiver that has both models comes back to a sender that prefers another one by now."""
    newer = sources.independent("00000002")
    kept = MemoryStream()
    for models in (MODELS, sources.collection(newer, MODEL)):
        store = open_store(str(tmp_path / "store")) if stored else None
        pipeline = Pipeline(FileOpener(models), store=store)
        decoders = ModelDecoders(sources.collection(MODEL, newer))
        async with (
            SenderDaemon(Catalogue(folder), pipeline) as daemon,
            diffc_client.connect(daemon.url, decoders=decoders) as sender,
        ):
            async for refinement in sender.open("a.png", bytes=kept.length + 900, kept=kept):
                last = refinement
    assert (last.bytes, last.complete) == (1800, True)
    assert kept.read() == beginning(1800)


TAKEN = Metadata(
    time=datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
    place=Place(latitude=-33.8567844, longitude=151.2152967),
    camera="NIKON D850",
)


async def received(
    sender: diffc_client.Sender, size: int, kept: MemoryStream
) -> diffc_client.Refinement:
    async for refinement in sender.open("a.png", bytes=size, kept=kept):
        last = refinement
    return last


@pytest.mark.asyncio
async def test_who_reads_it_is_told_how_a_picture_was_taken(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_png(folder / "a.png", sources.picture(), metadata=TAKEN)
    store = open_store(str(tmp_path / "store"))
    told, plain, older = MemoryStream(), MemoryStream(), MemoryStream()
    decoders = ModelDecoders(MODELS)
    for facts, place in ((Facts.named("time,camera"), None), (Facts(Fact), TAKEN.place)):
        describing = FileOpener(MODELS, facts=facts)
        pipeline = Pipeline(FileOpener(MODELS), store=store, describing=describing)
        async with SenderDaemon(Catalogue(folder), pipeline) as daemon:
            async with diffc_client.connect(daemon.url, decoders=decoders) as sender:
                last = await received(sender, 700, told)
                assert (last.metadata.time, last.metadata.place) == (TAKEN.time, place)
                assert last.metadata.camera == TAKEN.camera
                told = MemoryStream()
            # To who reads older versions only, nothing is told, and the bytes are the same ones.
            with monkeypatch.context() as patch:
                patch.setattr(websocket, "CAPABILITIES", ("dfc1", "dfc2"))
                async with diffc_client.connect(daemon.url, decoders=decoders) as sender:
                    assert not (await received(sender, 700, plain)).metadata
                    await received(sender, 300, older)
            assert plain.read() == beginning(700)
            # And what has begun so goes on so.
            async with diffc_client.connect(daemon.url, decoders=decoders) as sender:
                assert not (await received(sender, 1000, older)).metadata
                assert older.read() == beginning(1000)
                held = MemoryStream()
                held.append(beginning(700)[:-1] + b"?")
                with pytest.raises(PeerError, match="differ from yours"):
                    await received(sender, 1000, held)
        plain, older = MemoryStream(), MemoryStream()


class Counting:
    """A denoiser that counts what it is asked."""

    def __init__(self) -> None:
        self.evaluations = 0

    def __call__(self, eta: Floats, snr: float, field: Field = WHITE) -> Floats:
        """Estimate."""
        self.evaluations += 1
        return MODEL.denoiser(eta, snr)


@dataclass(slots=True)
class Sender:
    """Sends one picture, in a daemon of its own, and remembers what that took."""

    folder: Path
    store: Store
    evaluations: int = 0

    async def send(self, target: Target) -> bytes:
        """Return the stream that a receiver gets."""
        counting = Counting()
        models = sources.collection(replace(MODEL, denoiser=counting))
        pipeline = Pipeline(FileOpener(models), store=self.store)
        kept = MemoryStream()
        async with (
            SenderDaemon(Catalogue(self.folder), pipeline) as daemon,
            diffc_client.connect(daemon.url, decoders=ModelDecoders(MODELS)) as sender,
        ):
            await sender.receive(
                *("a.png", kept),
                bytes=target.bytes,
                bpp=target.bpp,
                psnr=target.psnr,
                side=target.side,
            )
        self.evaluations = counting.evaluations
        return kept.read()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "target",
    [
        Target(bytes=1500),
        Target(bpp=2.0),
        Target(psnr=22.0),
        Target(side=16),
        Target(bytes=4000, psnr=24.0),
        Target(),
    ],
    ids=str,
)
async def test_the_second_request_costs_no_denoiser_call(
    folder: Path, tmp_path: Path, target: Target
) -> None:
    """Nor does the picture have to be there to be looked at."""
    save_png(folder / "a.png", sources.picture()[:32, :32])
    sender = Sender(folder, open_store(str(tmp_path / "store")))
    first = await sender.send(target)
    assert sender.evaluations > 0
    second = await sender.send(target)
    assert (second, sender.evaluations) == (first, 0)


@pytest.mark.asyncio
async def test_more_of_it_costs_what_replaying_and_going_on_cost(
    folder: Path, tmp_path: Path
) -> None:
    sender = Sender(folder, open_store(str(tmp_path / "store")))
    await sender.send(Target(bytes=1500))
    longer = await sender.send(Target(bytes=6000))
    assert longer == beginning(6000)
    assert sender.evaluations > 0


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
