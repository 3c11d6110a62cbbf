"""A sender daemon and receivers on the loopback, with a codec that needs no weights."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from fakes import FINGERPRINT, HEIGHT, WIDTH, FakeDecoders, FakeOpener, stream_of
from serving import pictures, serving, settled

import diffc_client
from diffc_client import MemoryStream, Sender
from diffc_client.remote.websocket import Link
from diffc_server import SenderDaemon
from diffc_stream.errors import (
    LinkLost,
    NothingDecodable,
    PeerError,
    UnknownImage,
    UnknownModel,
)
from diffc_stream.session import Reason
from diffc_stream.session import sender as session_sender

OLD, NEW = "01d01d01", "0ead0ead"
"""Fingerprints of two models."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


@asynccontextmanager
async def visiting(
    daemon: SenderDaemon,
    *,
    patience: float | None = 0.0,
    models: tuple[str, ...] = (FINGERPRINT,),
) -> AsyncIterator[Sender]:
    async with diffc_client.connect(
        daemon.url, decoders=FakeDecoders(models), patience=patience
    ) as sender:
        yield sender


@pytest.mark.asyncio
async def test_a_picture_gets_better_until_it_is_complete(folder: Path) -> None:
    async with serving(folder) as daemon, visiting(daemon) as sender:
        seen = [refinement async for refinement in sender.open("a.png")]
    assert [r.complete for r in seen] == [False] * (len(seen) - 1) + [True]
    sizes = [r.bytes for r in seen]
    assert sizes == sorted(sizes)
    last = seen[-1]
    assert last.bytes == 5000
    assert last.image.shape == (HEIGHT, WIDTH, 3)
    assert last.bpp == pytest.approx(8 * 5000 / (WIDTH * HEIGHT))
    assert last.predicted_psnr == 25.0
    assert last.description == {"bytes": "5000", "render": "mmse"}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("target", "length"),
    [({"bytes": 1234}, 1234), ({"bpp": 2.0}, 300), ({"bytes": 99, "bpp": 9.0}, 99)],
)
async def test_targets_are_met_to_the_byte(
    folder: Path, target: dict[str, float], length: int
) -> None:
    async with serving(folder) as daemon, visiting(daemon) as sender:
        kept = MemoryStream()
        async for refinement in sender.open("a.png", kept=kept, **target):  # type: ignore[arg-type]
            last = refinement
    assert (last.complete, last.bytes) == (True, length)
    assert kept.read() == stream_of("a.png", length)


@pytest.mark.asyncio
async def test_the_catalogue(folder: Path) -> None:
    async with serving(folder) as daemon, visiting(daemon) as sender:
        assert await sender.images() == ["a.png", "b.png", "sub/c.jpg"]
        assert await asyncio.gather(sender.images(), sender.images())


@pytest.mark.asyncio
async def test_several_pictures_at_once_on_one_link(folder: Path) -> None:
    async def fetch(sender: Sender, name: str) -> bytes:
        kept = MemoryStream()
        assert await sender.receive(name, kept) is Reason.COMPLETE
        return kept.read()

    opener = FakeOpener(length=30_000)
    names = ["a.png", "b.png", "sub/c.jpg", "a.png"]
    async with serving(folder, opener) as daemon, visiting(daemon) as sender:
        assert daemon.connections == 1
        received = await asyncio.gather(*(fetch(sender, name) for name in names))
    assert received == [stream_of(Path(name).name, 30_000) for name in names]
    assert sorted(opener.opened) == ["a.png", "b.png", "c.jpg"]


@pytest.mark.asyncio
async def test_leaving_the_loop_stops_the_stream(folder: Path) -> None:
    opener = FakeOpener(length=1_000_000)
    async with serving(folder, opener) as daemon, visiting(daemon) as sender:
        async with aclosing(sender.open("a.png")) as refinements:
            async for refinement in refinements:
                if refinement.bytes > 2000:
                    break
        # The sender is still there for others, and has not gone on with this one.
        async for refinement in sender.open("b.png", bytes=500):
            assert refinement.bytes <= 500
    assert opener.computed["a.png"] < 200_000


@pytest.mark.asyncio
async def test_unknown_pictures(folder: Path) -> None:
    async with serving(folder) as daemon, visiting(daemon) as sender:
        for name in ("z.png", "sub", "sub/c.png", ".hidden.png"):
            with pytest.raises(UnknownImage, match="no picture"):
                await sender.receive(name, MemoryStream())
        assert await sender.receive("a.png", MemoryStream()) is Reason.COMPLETE


@pytest.mark.asyncio
async def test_an_unreadable_picture_is_that_clients_problem(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "bad.png").write_bytes(b"broken")
    async with serving(folder) as daemon, visiting(daemon) as sender:
        with pytest.raises(PeerError, match="cannot be read as a picture") as caught:
            await sender.receive("bad.png", MemoryStream())
        assert caught.value.code == "unreadable-image"
        assert str(folder) not in str(caught.value)
        assert await sender.receive("a.png", MemoryStream()) is Reason.COMPLETE
    assert sum("not a picture" in record.message for record in caplog.records) == 1


@pytest.mark.asyncio
async def test_a_bug_in_the_encoder_is_that_clients_problem(folder: Path) -> None:
    opener = FakeOpener(length=0)
    async with serving(folder, opener) as daemon, visiting(daemon) as sender:
        with pytest.raises(PeerError, match=r"encoding it failed: RuntimeError \[internal\]"):
            await sender.receive("a.png", MemoryStream())
        assert await sender.images()


@pytest.mark.asyncio
async def test_too_few_bytes_for_a_picture(folder: Path) -> None:
    async with serving(folder) as daemon, visiting(daemon) as sender:
        with pytest.raises(NothingDecodable):
            _ = [r async for r in sender.open("a.png", bytes=5)]


@pytest.mark.asyncio
async def test_a_model_that_is_not_here(folder: Path) -> None:
    async with (
        serving(folder, FakeOpener(fingerprints=("12345678",))) as daemon,
        visiting(daemon) as sender,
    ):
        with pytest.raises(UnknownModel, match="12345678"):
            _ = [r async for r in sender.open("a.png")]
        # A ready-made stream may be of any model, and its header tells.
        (folder / "ready.dfc").write_bytes(b"87654321")
        with pytest.raises(UnknownModel, match="87654321"):
            _ = [r async for r in sender.open("ready.dfc")]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("theirs", "chosen"),
    [
        ((NEW, OLD), NEW),
        ((OLD, NEW), NEW),  # the sender's order counts
        (("99999999", OLD), OLD),
        ((), NEW),  # they only keep it
    ],
)
async def test_the_sender_takes_the_first_of_its_models_that_the_receiver_has(
    folder: Path, theirs: tuple[str, ...], chosen: str
) -> None:
    opener = FakeOpener(fingerprints=(NEW, OLD))
    async with (
        serving(folder, opener) as daemon,
        visiting(daemon, models=theirs) as sender,
    ):
        kept = MemoryStream()
        *_, last = [refinement async for refinement in sender.open("a.png", kept=kept)]
        link = await sender.dial()
        assert isinstance(link, Link)
        assert link.models == (NEW, OLD)
    assert (last.bytes, opener.models) == (5000, [chosen])
    assert kept.read() == stream_of("a.png", 5000, chosen)


@pytest.mark.asyncio
async def test_receivers_of_different_age_at_once(folder: Path) -> None:
    opener = FakeOpener(fingerprints=(NEW, OLD))
    async with (
        serving(folder, opener) as daemon,
        visiting(daemon, models=(OLD,)) as older,
        visiting(daemon, models=(NEW, OLD)) as newer,
    ):
        kept = [MemoryStream(), MemoryStream()]
        await asyncio.gather(older.receive("a.png", kept[0]), newer.receive("a.png", kept[1]))
    assert [k.read() for k in kept] == [stream_of("a.png", 5000, model) for model in (OLD, NEW)]


@pytest.mark.asyncio
@pytest.mark.parametrize("models", [(NEW, OLD), (OLD,), ()])
async def test_a_stream_goes_on_with_the_model_that_it_was_begun_with(
    folder: Path, models: tuple[str, ...]
) -> None:
    """The sender is restarted with another default while a picture is half received."""
    gate = threading.Semaphore(5)
    kept = MemoryStream()
    async with serving(folder, FakeOpener(gate=gate, fingerprints=(OLD,))) as first:
        port = first.port
        async with visiting(first, patience=30.0, models=models) as sender:
            receiving = asyncio.create_task(sender.receive("a.png", kept))
            await settled(lambda: kept.length >= 900)
            await first.abort()
            gate.release(1000)
            opener = FakeOpener(fingerprints=(NEW, OLD))
            async with serving(folder, opener, port=port):
                assert await receiving is Reason.COMPLETE
    assert kept.read() == stream_of("a.png", 5000, OLD)
    assert opener.models == [OLD]


@pytest.mark.asyncio
async def test_a_model_that_the_sender_has_no_more_is_a_prefix_that_does_not_fit(
    folder: Path,
) -> None:
    opener = FakeOpener(fingerprints=(NEW,))
    async with serving(folder, opener) as daemon, visiting(daemon, models=(NEW, OLD)) as sender:
        kept = MemoryStream()
        kept.append(stream_of("a.png", 900, OLD))
        with pytest.raises(PeerError, match=f"of the model {OLD}, which is not here") as caught:
            await sender.receive("a.png", kept)
        assert caught.value.code == "prefix-mismatch"
        assert opener.models == []  # nothing was encoded to find that out
        assert await sender.receive("a.png", MemoryStream()) is Reason.COMPLETE


@pytest.mark.asyncio
async def test_ready_streams_go_to_whoever_can_use_them(folder: Path) -> None:
    (folder / "ready.dfc").write_bytes(OLD.encode())
    async with serving(folder, FakeOpener(fingerprints=(NEW,))) as daemon:
        for models in ((OLD,), (NEW, OLD), ()):
            kept = MemoryStream()
            async with visiting(daemon, models=models) as sender:
                assert await sender.receive("ready.dfc", kept) is Reason.COMPLETE
            assert kept.read() == stream_of("ready.dfc", 5000, OLD)
        async with visiting(daemon, models=(NEW,)) as sender:
            with pytest.raises(UnknownModel, match=OLD):
                await sender.receive("ready.dfc", MemoryStream())


@pytest.mark.asyncio
async def test_what_is_held_is_not_sent_again(folder: Path) -> None:
    whole = stream_of("a.png", 5000)
    async with serving(folder) as daemon, visiting(daemon) as sender:
        for start in (0, 1, 300, 301, 4999, 5000):
            kept = MemoryStream()
            kept.append(whole[:start])
            arrived: list[bytes] = []
            assert await sender.receive("a.png", kept, deliver=arrived.append) is Reason.COMPLETE
            assert b"".join(arrived) == whole[start:]
            assert kept.read() == whole


@pytest.mark.asyncio
async def test_what_is_held_must_be_of_the_same_stream(folder: Path) -> None:
    async with serving(folder) as daemon, visiting(daemon) as sender:
        for other in (b"something else", stream_of("a.png", 5000) + b"and more"):
            kept = MemoryStream()
            kept.append(other)
            with pytest.raises(PeerError, match="differ from yours") as caught:
                await sender.receive("a.png", kept)
            assert caught.value.code == "prefix-mismatch"


@pytest.mark.asyncio
async def test_a_viewer_that_is_slow_sees_the_newest_picture(folder: Path) -> None:
    """Pictures that nobody had time for are left out, and the network does not wait."""
    gate = threading.Semaphore(0)
    opener = FakeOpener(length=8000, piece=1000, gate=gate)
    async with serving(folder, opener) as daemon, visiting(daemon) as sender:
        arrived = asyncio.Event()

        class Watched(MemoryStream):
            def append(self, data: bytes) -> None:
                super().append(data)
                if self.length == 8000:
                    arrived.set()

        gate.release()
        async with aclosing(sender.open("a.png", kept=Watched())) as refinements:
            first = await anext(refinements)
            gate.release(8)
            await arrived.wait()  # all of it comes while the viewer is still busy with the first
            rest = [r.bytes async for r in refinements]
    assert first.bytes <= 1000
    assert rest[-1] == 8000
    assert len(rest) <= 2


@pytest.mark.asyncio
async def test_a_receiver_that_vanishes_frees_everything(folder: Path) -> None:
    gate = threading.Semaphore(4)
    opener = FakeOpener(length=100_000, gate=gate)
    async with serving(folder, opener) as daemon:
        async with visiting(daemon) as sender:
            async with aclosing(sender.open("a.png")) as refinements:
                await anext(refinements)
                link = await sender.dial()
                assert isinstance(link, Link)
                link._websocket.transport.abort()
                with pytest.raises(LinkLost):
                    _ = [r async for r in refinements]
            gate.release(1000)
        await settled(lambda: daemon.connections == 0)
        assert all(stream.idle for stream in daemon._pipeline._held)
        async with visiting(daemon) as sender:
            assert await sender.receive("b.png", MemoryStream(), bytes=400) is Reason.TARGET


@pytest.mark.asyncio
async def test_draining_sends_receivers_away_to_come_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_sender, "COME_BACK", 0.01)
    gate = threading.Semaphore(5)
    whole = stream_of("a.png", 5000)
    kept = MemoryStream()
    async with serving(folder, FakeOpener(gate=gate)) as first:
        port = first.port
        async with visiting(first, patience=30.0) as sender:
            receiving = asyncio.create_task(sender.receive("a.png", kept))
            await settled(lambda: kept.length >= 900)
            await first.drain()
            held = kept.length
            assert held < 5000
            gate.release(1000)
            opener = FakeOpener()
            async with serving(folder, opener, port=port):
                assert await receiving is Reason.COMPLETE
    assert kept.read() == whole


@pytest.mark.asyncio
async def test_a_sender_that_is_killed_is_resumed_without_a_byte_twice(folder: Path) -> None:
    gate = threading.Semaphore(5)
    arrived: list[bytes] = []
    kept = MemoryStream()
    async with serving(folder, FakeOpener(gate=gate)) as first:
        port = first.port
        async with visiting(first, patience=30.0) as sender:
            receiving = asyncio.create_task(sender.receive("a.png", kept, deliver=arrived.append))
            await settled(lambda: kept.length >= 900)
            await first.abort()
            gate.release(1000)
            async with serving(folder, port=port):
                assert await receiving is Reason.COMPLETE
    assert b"".join(arrived) == kept.read() == stream_of("a.png", 5000)


@pytest.mark.asyncio
async def test_patience_ends(folder: Path) -> None:
    gate = threading.Semaphore(0)
    async with (
        serving(folder, FakeOpener(gate=gate)) as daemon,
        visiting(daemon, patience=0.0) as sender,
    ):
        receiving = asyncio.create_task(sender.receive("a.png", MemoryStream()))
        await settled(lambda: daemon.connections == 1)
        await daemon.abort()
        with pytest.raises(LinkLost):
            await receiving
        gate.release()


@pytest.mark.asyncio
async def test_nobody_there(folder: Path) -> None:
    async with serving(folder) as daemon:
        url = daemon.url
    with pytest.raises(LinkLost, match="cannot be reached: "):
        async with diffc_client.connect(url, decoders=FakeDecoders()):
            raise AssertionError
