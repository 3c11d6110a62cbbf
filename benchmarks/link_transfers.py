"""Transfers over bad links: what `benchmarks.link` measures of the protocol alone.

Real daemons on the loopback, with a bad link between them; the streams are bytes that obey the
grammar and hold no picture, since nothing here looks at one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from diffc_client.api.connection import Sender
from diffc_client.decoding.decoders import StreamDecoder
from diffc_client.remote.address import Address
from diffc_client.remote.websocket import Link as WebSocketLink
from diffc_client.storage.partial_stream import MemoryStream
from diffc_server import Catalogue, Pipeline, SenderDaemon
from diffc_server.encoding.source import FileOpener
from diffc_stream.container import Header, Kind, Step, StreamWriter
from diffc_stream.session import Terms
from diffc_stream.transport.backoff import Backoff
from diffc_stream.transport.impaired_link import Link
from diffc_stream.transport.impairment import PERFECT, Impairment

MODEL = "0f0f0f0f"
SHORT = 700
LONG = 200_000


def stream(length: int, seed: int) -> bytes:
    """Return ``length`` bytes that obey the grammar of streams; those of a seed are the same."""
    drawn = random.Random(seed)
    writer = StreamWriter()
    parts = [writer.header(Header(model=MODEL, width=768, height=512, seed=seed))]
    while writer.written < length:
        step = Step(kind=Kind.REFINE, length=drawn.randint(10, 6000), delta_code=60)
        parts.append(writer.step(step, drawn.randbytes(step.length)))
    return b"".join(parts)[:length]


class NoDecoders:
    """Decoders of a receiver that only keeps what comes."""

    fingerprints: tuple[str, ...] = ()

    def new(self) -> StreamDecoder:
        """Nobody asks for one."""
        raise NotImplementedError


class Streams(FileOpener):
    """Opens files that are ready, and needs no model for it."""

    def __init__(self) -> None:
        super().__init__({})

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """One of a model that nobody is asked for."""
        return (MODEL,)


class Counted(MemoryStream):
    """A stream in memory that remembers what came when."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[tuple[float, int]] = []
        """Time and size of every payload."""

    def append(self, data: bytes) -> None:
        """Take the bytes that follow."""
        super().append(data)
        self.frames.append((asyncio.get_running_loop().time(), len(data)))


@asynccontextmanager
async def linked(
    folder: Path,
    *,
    down: Impairment | Sequence[Impairment] = PERFECT,
    up: Impairment | Sequence[Impairment] = PERFECT,
    terms: Terms | None = None,
    patience: float | None = None,
) -> AsyncIterator[tuple[Sender, Link]]:
    """A sender of the streams in ``folder``, as a receiver sees it over a bad link."""
    pipeline = Pipeline(Streams())
    async with (
        SenderDaemon(Catalogue(folder), pipeline, terms=terms) as daemon,
        Link("127.0.0.1", daemon.port, down=down, up=up) as link,
    ):
        # At once again: what is measured is bytes, not waits.
        backoff = Backoff(first=0.0, longest=0.0, patience=patience)
        address = Address.parse(f"ws://127.0.0.1:{link.port}")
        sender = Sender(address, NoDecoders(), backoff, terms or Terms())
        try:
            yield sender, link
        finally:
            await sender.close()


@dataclass(slots=True, kw_only=True)
class Cuts:
    """What came of cutting."""

    transfers: int
    """Streams transferred, each cut at least once."""
    connections: int
    """That it took."""
    equal: int
    """Streams that came out byte for byte."""
    bytes_wanted: int
    bytes_taken: int
    """Payload that the receivers took; more would be bytes taken twice."""


async def cut_everywhere(folder: Path, shown: Callable[[int, int], None]) -> Cuts:
    """Cut a short stream after every byte that the link carries to the receiver."""
    data = stream(SHORT, 1)
    (folder / "short.dfc").write_bytes(data)
    async with linked(folder) as (sender, link):
        await sender.receive("short.dfc", MemoryStream())
        whole = link.carried_down
    result = Cuts(transfers=0, connections=0, equal=0, bytes_wanted=0, bytes_taken=0)
    for place in range(1, whole):
        cut = (Impairment(cut_after=place), PERFECT)
        async with linked(folder, down=cut) as (sender, link):
            await _transfer(sender, link, "short.dfc", data, result)
        shown(place, whole - 1)
    return result


async def cut_at_random(
    folder: Path, cuts: int, seed: int, shown: Callable[[int, int], None]
) -> Cuts:
    """Cut a long stream at ``cuts`` random places, in a row."""
    data = stream(LONG, 2)
    (folder / "long.dfc").write_bytes(data)
    drawn = random.Random(seed)
    # Bytes that each connection carries: some hundred are its handshake, which may be cut too.
    places = [drawn.randint(1, 2 * LONG // cuts) for _ in range(cuts)]
    torn = [Impairment(cut_after=place) for place in places]
    result = Cuts(transfers=0, connections=0, equal=0, bytes_wanted=0, bytes_taken=0)
    while result.connections < cuts:
        rest = torn[result.connections :]
        async with linked(folder, down=[*rest, PERFECT]) as (sender, link):
            await _transfer(sender, link, "long.dfc", data, result)
        shown(min(result.connections, cuts), cuts)
    return result


async def _transfer(sender: Sender, link: Link, name: str, data: bytes, result: Cuts) -> None:
    kept = Counted()
    await sender.receive(name, kept)
    result.transfers += 1
    result.connections += len(link.connections)
    result.equal += kept.read() == data
    result.bytes_wanted += len(data)
    result.bytes_taken += sum(size for _, size in kept.frames)


@dataclass(slots=True, kw_only=True)
class Slow:
    """A stream over a slow link."""

    rate: float
    """Bytes per second."""
    round_trip: float
    """Seconds."""
    seconds: float
    """For which it was kept up."""
    alive: bool
    """On one connection to the end, with bytes still coming."""
    payload: int
    frame: float
    """Mean bytes of payload in a frame."""
    down: int
    """Bytes through the link, handshake included."""
    up: int
    window: int
    """Bytes under way that the receiver granted in the end."""

    @property
    def share(self) -> float:
        """Payload over bytes through the link towards the receiver."""
        return self.payload / self.down

    @property
    def share_of_both(self) -> float:
        """The same over the bytes of both ways."""
        return self.payload / (self.down + self.up)


async def slow(folder: Path, *, rate: float, round_trip: float, seconds: float) -> Slow:
    """Stream for so many seconds over a slow link."""
    name = f"{rate:.0f}.dfc"
    (folder / name).write_bytes(stream(int(rate * seconds) + 100_000, 3))
    loop = asyncio.get_running_loop()
    way = Impairment(rate=rate, delay=round_trip / 2)
    kept = Counted()
    # Patience of no time: a link that is lost would end it.
    async with linked(folder, down=way, up=way, patience=0.0) as (sender, link):
        receiving = asyncio.create_task(sender.receive(name, kept))
        await asyncio.wait([receiving], timeout=seconds)
        lively = bool(kept.frames) and loop.time() - kept.frames[-1][0] < 10 + 5000 / rate
        alive = not receiving.done() and len(link.connections) == 1 and lively
        down, up = link.carried_down, link.carried_up
        open_link = await sender.dial()
        window = open_link.window if isinstance(open_link, WebSocketLink) else 0
        receiving.cancel()
        await asyncio.wait([receiving])
    return Slow(
        rate=rate,
        round_trip=round_trip,
        seconds=seconds,
        alive=alive,
        payload=kept.length,
        frame=kept.length / max(1, len(kept.frames)),
        down=down,
        up=up,
        window=window,
    )


@dataclass(slots=True, kw_only=True)
class Stopped:
    """What still came after STOP."""

    rate: float
    window: int
    """Agreed on."""
    late: int
    """Bytes that the link carried to the receiver after STOP was said, frames and all."""
    seconds: float
    """Until the last of them."""


async def stopped(folder: Path, *, rate: float, delay: float, after: float) -> Stopped:
    """Stop a stream after so many seconds and count what still comes."""
    (folder / "stopped.dfc").write_bytes(stream(int(rate * after * 4), 4))
    loop = asyncio.get_running_loop()
    way = Impairment(rate=rate, delay=delay)
    async with linked(folder, down=way, up=way) as (sender, link):
        receiving = asyncio.create_task(sender.receive("stopped.dfc", MemoryStream()))
        await asyncio.wait([receiving], timeout=after)
        before, said = link.carried_down, loop.time()
        receiving.cancel()  # which says STOP
        await asyncio.wait([receiving])
        [connection] = link.connections
        # Nothing tells that nothing more will come but that nothing does.
        quiet = said
        while (left := quiet + 1.0 + 4 * delay - loop.time()) > 0:
            await asyncio.sleep(left)
            quiet = max(said, connection.down.arrivals[-1][0])
        return Stopped(
            rate=rate,
            window=Terms().window,
            late=link.carried_down - before,
            seconds=max(0.0, connection.down.arrivals[-1][0] - said),
        )


@dataclass(slots=True, kw_only=True)
class Overhead:
    """What a stream costs on the wire."""

    file: int
    """Bytes of the stream."""
    down: int
    """Bytes on the wire for it: DATA and END in their WebSocket frames."""
    up: int
    """ACKs, likewise; not OPEN, which is set-up."""
    frames: list[int] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Wire bytes, both ways, over file bytes."""
        return (self.down + self.up) / self.file


async def overhead(folder: Path, length: int) -> Overhead:
    """Send the first ``length`` bytes of a stream over a connection that is set up already."""
    (folder / "wire.dfc").write_bytes(stream(LONG, 5))
    async with linked(folder) as (sender, link):
        await sender.receive("wire.dfc", MemoryStream(), bytes=1)
        await sender.catalogue()
        down, up = link.carried_down, link.carried_up
        kept = Counted()
        await sender.receive("wire.dfc", kept, bytes=length)
        await sender.catalogue()
        listed_down, listed_up = link.carried_down, link.carried_up
        await sender.catalogue()
        # What the last catalogue took, the one before took too.
        listing = link.carried_down - listed_down, link.carried_up - listed_up
        opening = _opening("wire.dfc", length)
        return Overhead(
            file=length,
            down=listed_down - down - listing[0],
            up=listed_up - up - listing[1] - opening,
            frames=[size for _, size in kept.frames],
        )


def _opening(name: str, length: int) -> int:
    """Return the bytes of OPEN for the first ``length`` bytes, in its masked WebSocket frame."""
    from diffc_stream.session import Open, encode

    return 6 + len(encode(Open(stream=2, image=name, bytes=length)))
