"""Streams as files behind servers of all kinds, fetched range by range."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import pytest
from fakes import FakeOpener, stream_of
from http_store import LENGTH, PIXELS, STORES, STREAM, Store, holding, offering, received, visiting
from serving import pictures, serving
from sources import golden_stream

from diffc_client import Address, MemoryStream, Sender
from diffc_client.remote.http_ranges import FIRST_RANGE, MOST_RANGE, OVERLAP, RangeLink
from diffc_stream.codec import Curve
from diffc_stream.errors import AddressError, UnknownImage
from diffc_stream.session import End, Reason, Target, Terms


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize(
    ("target", "length"),
    [({}, LENGTH), ({"bytes": 3000}, 3000), ({"bpp": 4.0}, PIXELS // 2), ({"bytes": 20}, 20)],
)
@pytest.mark.parametrize("held", [0, 1, 5, 70, 599])
async def test_any_server_will_do(
    kind: str, target: dict[str, float], length: int, held: int
) -> None:
    kept = holding(STREAM[:held])
    reason = await received(STORES[kind], kept, **target)
    assert reason is (Reason.TARGET if target else Reason.COMPLETE)
    assert kept.read() == STREAM[: max(held, length)]


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["no ranges", "as it should be"])
async def test_a_stream_that_is_here_already(kind: str) -> None:
    kept = holding(STREAM)
    assert await received(STORES[kind], kept) is Reason.COMPLETE
    assert kept.length == LENGTH


@pytest.mark.asyncio
async def test_ranges_grow_and_go_no_further_than_needed() -> None:
    store = Store()
    assert await received(store, MemoryStream(), bytes=LENGTH - 1) is Reason.TARGET
    spans = [tuple(map(int, span.split("-"))) for span in store.asked]
    assert spans[0] == (0, FIRST_RANGE - 1)
    sizes = [last + 1 - first for first, last in spans]
    assert sizes[1:4] == [OVERLAP + FIRST_RANGE * n for n in (2, 4, 8)]
    assert max(sizes) <= MOST_RANGE + OVERLAP
    assert spans[-1][1] == LENGTH - 2
    for (_, last), (first, _) in pairwise(spans):
        assert first == last + 1 - OVERLAP
    assert store.connections == 1


@pytest.mark.asyncio
async def test_a_rate_is_known_with_the_header() -> None:
    store = Store()
    assert await received(store, MemoryStream(), bpp=8.0) is Reason.TARGET
    assert store.asked == [f"0-{FIRST_RANGE - 1}", f"{FIRST_RANGE - OVERLAP}-{PIXELS - 1}"]


@pytest.mark.asyncio
@pytest.mark.parametrize("held", [0, 60, 100])
async def test_a_side_that_needs_no_more(held: int) -> None:
    stream, curve = golden_stream(), Curve()
    curve.feed(stream)
    end = curve.opening(32)
    assert end is not None
    store = Store(files={"a.png.dfc": stream})
    kept = holding(stream[:held])
    assert await received(store, kept, side=32) is Reason.TARGET
    assert kept.read() == stream[:end]
    # What came beyond that was not kept, and comes again when it is wanted.
    assert await received(store, kept, bytes=end + 10, psnr=99.0) is Reason.TARGET
    assert await received(store, kept) is Reason.COMPLETE
    assert kept.read() == stream


@pytest.mark.asyncio
@pytest.mark.parametrize("ranges", [True, False])
async def test_a_target_that_changes_meanwhile(ranges: bool) -> None:
    async with offering(Store(ranges=ranges)) as url:
        link = await RangeLink.dial(Address.parse(url), terms=Terms())
        arrivals = link.open("a.png.dfc", held=b"", target=Target(bytes=500))
        data = b""
        while not isinstance(event := await arrivals.next(), End):
            data += event.payload
            arrivals.update(Target(bytes=3000), 1.0)
        await link.close()
    assert (event.reason, event.length) == (Reason.TARGET, 3000)
    assert data == STREAM[:3000]


@pytest.mark.asyncio
async def test_pictures_get_better() -> None:
    async with offering(Store()) as url, visiting(url) as sender:
        seen = [refinement async for refinement in sender.open("a.png.dfc")]
    sizes = [refinement.bytes for refinement in seen]
    assert sizes == sorted(sizes)
    assert seen[0].bytes <= FIRST_RANGE
    assert (seen[-1].bytes, seen[-1].complete) == (LENGTH, True)


@pytest.mark.asyncio
async def test_leaving_the_loop_ends_the_download() -> None:
    store = Store(ranges=False, files={"a.png.dfc": STREAM * 100})
    async with offering(store) as url, visiting(url) as sender:
        collected: list[object] = []
        before = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(finalizer=collected.append)
        try:
            async with aclosing(sender.open("a.png.dfc")) as refinements:
                async for _ in refinements:
                    break
        finally:
            sys.set_asyncgen_hooks(finalizer=before.finalizer)
        assert not collected, "a generator was left to the collector, which closes it later"
        async for refinement in sender.open("a.png.dfc", bytes=500):
            assert refinement.bytes <= 500
    assert store.connections == 2


@pytest.mark.asyncio
async def test_a_connection_is_kept_when_no_more_is_wanted_or_there_is_no_such_stream() -> None:
    store = Store()
    async with offering(store) as url, visiting(url) as sender:
        kept = MemoryStream()
        assert await sender.receive("a.png.dfc", kept, bytes=500) is Reason.TARGET
        assert kept.length == 500
        with pytest.raises(UnknownImage):
            await sender.receive("b.png.dfc", MemoryStream())
        assert await sender.receive("a.png.dfc", MemoryStream()) is Reason.COMPLETE
    assert store.connections == 1


@pytest.mark.asyncio
async def test_connections_are_kept_for_the_next_stream() -> None:
    store = Store()
    async with offering(store) as url, visiting(url) as sender:
        for _ in range(3):
            assert await sender.receive("a.png.dfc", MemoryStream()) is Reason.COMPLETE
    assert store.connections == 1


@pytest.mark.asyncio
async def test_several_streams_at_once() -> None:
    async def fetch(sender: Sender) -> bytes:
        kept = MemoryStream()
        await sender.receive("a.png.dfc", kept)
        return kept.read()

    async with offering(Store()) as url, visiting(url) as sender:
        assert await asyncio.gather(*(fetch(sender) for _ in range(5))) == [STREAM] * 5


@pytest.mark.asyncio
async def test_a_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    store = Store(status=[""])
    async with offering(store) as url, visiting(url) as sender:
        assert await sender.receive("a.png.dfc", MemoryStream()) is Reason.COMPLETE


@pytest.mark.asyncio
async def test_there_is_no_catalogue() -> None:
    async with offering(Store()) as url, visiting(url) as sender:
        with pytest.raises(AddressError, match="does not say what it has"):
            await sender.images()


@pytest.mark.asyncio
async def test_what_follows_a_question_mark_is_asked_for_with_every_range() -> None:
    store = Store(files={"a.png.dfc?X-Sig=1%2F2&exp=9": STREAM}, most=500)
    async with offering(store) as url, visiting(f"{url}/a.png.dfc?X-Sig=1%2F2&exp=9") as sender:
        kept = MemoryStream()
        assert await sender.receive("a.png.dfc", kept) is Reason.COMPLETE
        assert kept.read() == STREAM
        with pytest.raises(UnknownImage):
            await sender.receive("b.png.dfc", MemoryStream())


@pytest.mark.asyncio
async def test_names_are_encoded_and_hints_given() -> None:
    store = Store(files={"sub/b%20%C3%A4.dfc": STREAM})
    async with offering(store) as url, visiting(url) as sender:
        kept = MemoryStream()
        assert await sender.receive("sub/b ä.dfc", kept) is Reason.COMPLETE
        with pytest.raises(UnknownImage, match=r"PICTURE\.dfc"):
            await sender.receive("a.png", kept)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["a.png.dfc", "ready.dfc"])
async def test_our_own_daemon_is_one_of_them(tmp_path: Path, name: str) -> None:
    folder = pictures(tmp_path)
    (folder / "ready.dfc").write_bytes(stream_of("ready.dfc", LENGTH))
    stream = stream_of(name.replace("a.png.dfc", "a.png"), LENGTH)
    opener = FakeOpener(length=LENGTH)
    async with serving(folder, opener) as daemon:
        async with visiting(daemon.url.replace("ws:", "http:")) as sender:
            kept = MemoryStream()
            assert await sender.receive(name, kept, bytes=5000) is Reason.TARGET
            if name == "a.png.dfc":
                assert opener.computed["a.png"] <= 5000 + opener.piece
            assert await sender.receive(name, kept) is Reason.COMPLETE
            assert kept.read() == stream
        # What was begun over HTTP goes on over a WebSocket.
        async with visiting(daemon.url) as sender:
            kept = holding(stream[:1234])
            await sender.receive(name.replace("a.png.dfc", "a.png"), kept)
            assert kept.read() == stream
