"""A sender as a viewer sees it: the examples of the documentation, executed; changes of mind."""

from __future__ import annotations

import asyncio
import re
import textwrap
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeDecoders, FakeOpener, stream_of
from proxying import proxying
from serving import Background, pictures, serving
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

import diffc_client
from diffc_client import MemoryStream, ModelDecoders, Sender
from diffc_client.api import blocking, connection
from diffc_client.remote.links import AnyLink
from diffc_server import Catalogue
from diffc_stream.errors import RemoteProtocolError
from diffc_stream.session import (
    SUBPROTOCOL,
    Data,
    End,
    Hello,
    Message,
    Open,
    Reason,
    Target,
    Update,
    Welcome,
    decode,
    encode,
)

ADDRESS = "ws://localhost:8765"


class Window:
    """What a viewer shows pictures in."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def show(self, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
        """Show a picture."""
        assert image.dtype == np.uint8
        self.shapes.append(image.shape)


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(ModelDecoders, "load", lambda *_, **__: FakeDecoders())
    folder = pictures(tmp_path)
    (folder / "coffee.jpg").write_bytes(b"")
    with Background(folder) as address:
        yield address


def paragraphs(text: str | None) -> list[str]:
    """Return the code that a docstring shows indented."""
    blocks = re.findall(r"::?\n\n((?: {4}.*\n|\n)+)", f"{text}\n")
    return [textwrap.dedent(block) for block in blocks]


def prompted(text: str | None) -> str:
    """Return the code that a docstring shows after prompts."""
    return "\n".join(re.findall(r"^ *(?:>>>|\.\.\.) (.*)$", text or "", re.MULTILINE))


async def execute(code: str, url: str, **names: object) -> None:
    """Execute code that may await, with the sender at ``url``."""
    scope: dict[str, object] = {**vars(diffc_client), "diffc_client": diffc_client, **names}
    code = code.replace(ADDRESS, url)
    exec(f"async def example():\n{textwrap.indent(code, '    ')}", scope)
    example = scope["example"]
    assert callable(example)
    await example()


@pytest.mark.asyncio
async def test_the_package_shows_three_ways_that_work(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    window = Window()
    awaited, blocked, watched, _packets = paragraphs(diffc_client.__doc__)
    await execute(awaited, url, window=window)
    assert set(window.shapes) == {(30, 40, 3)}
    await execute(blocked, url)
    assert capsys.readouterr().out.splitlines()[-1] == "5000 25.0"
    window.shapes.clear()
    await execute(f"{watched}\nassert watch.wait().complete", url, window=window)
    assert window.shapes


@pytest.mark.asyncio
async def test_the_module_shows_how_to_leave_early(url: str) -> None:
    window = Window()
    [example] = paragraphs(
        (connection.__doc__ or "").replace("better and better.", "better and better::")
    )
    await execute(example, url, window=window)
    assert window.shapes


@pytest.mark.asyncio
async def test_the_functions_show_what_they_do(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await execute(prompted(diffc_client.connect.__doc__), url)
    assert "'coffee.jpg'" in capsys.readouterr().out
    await execute(prompted(blocking.stream.__doc__), url)
    assert capsys.readouterr().out.splitlines()[-1] == "60 20.06"
    async with diffc_client.connect(url) as connected:
        await execute(prompted(Sender.images.__doc__), url, sender=connected)
        await execute(prompted(Sender.open.__doc__), url, sender=connected)
    bytes_, bpp, predicted = capsys.readouterr().out.split()[-3:]
    assert (bytes_, bpp, predicted) == ("4000", str(8 * 4000 / 1200), "24.0")


def test_everything_promised_is_there() -> None:
    assert sorted(diffc_client.__all__) == diffc_client.__all__
    assert all(hasattr(diffc_client, name) for name in diffc_client.__all__)


class Script:
    """A sender that has a stream of 5,000 bytes, ends it at ``bytes`` if given, and takes notes.

    ``late``: the UPDATE of a stream crosses its END.
    """

    def __init__(self, *, late: bool = False) -> None:
        self.heard: list[Message] = []
        self.opened = asyncio.Event()
        self.links = 0
        self._late = late

    async def __call__(self, websocket: ServerConnection) -> None:
        self.links += 1
        async for data in websocket:
            assert isinstance(data, bytes)
            message = decode(data)
            match message:
                case Hello():
                    await websocket.send(encode(Welcome(window=8192, idle=60.0, streams=16)))
                case Open():
                    self.opened.set()
                    end = message.bytes or 5000
                    if end > message.start:
                        payload = stream_of("a.png", end)[message.start :]
                        sent = Data(stream=message.stream, offset=message.start, payload=payload)
                        await websocket.send(encode(sent))
                    if not self._late:
                        end = max(end, message.start)
                        await self._end(websocket, message.stream, end, message.bytes)
                case Update() if self._late:
                    self._late = False
                    await self._end(websocket, message.stream, 1000, 1000)
            self.heard.append(message)

    async def _end(
        self, websocket: ServerConnection, stream: int, end: int, asked: int | None
    ) -> None:
        reason = Reason.TARGET if asked else Reason.COMPLETE
        await websocket.send(encode(End(stream=stream, reason=reason, length=end)))

    def opens(self) -> list[tuple[int, Target, float]]:
        """Return first byte, target and weight of every OPEN."""
        return [(m.start, m.target, m.weight) for m in self.heard if isinstance(m, Open)]


@asynccontextmanager
async def scripted(script: Script, decoders: FakeDecoders | None = None) -> AsyncIterator[Sender]:
    """Connect to a sender that follows a script."""
    offered = [Subprotocol(SUBPROTOCOL)]
    async with serve(script, "127.0.0.1", 0, subprotocols=offered) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        address, decoders = f"ws://127.0.0.1:{port}", decoders or FakeDecoders()
        async with diffc_client.connect(address, decoders=decoders, patience=0.0) as sender:
            yield sender


@pytest.mark.asyncio
async def test_an_update_while_the_picture_streams(tmp_path: Path) -> None:
    gate, kept = threading.Semaphore(2), MemoryStream()
    opener = FakeOpener(length=20_000, gate=gate)
    async with (
        serving(pictures(tmp_path), opener) as daemon,
        diffc_client.connect(daemon.url, decoders=FakeDecoders(), patience=0.0) as connected,
    ):
        delivery = connected.open("a.png", bytes=1000, kept=kept)
        first = await anext(delivery)
        assert first.bytes <= 600
        delivery.update(bytes=3000)
        gate.release(100)
        seen = [refinement async for refinement in delivery]
    assert (seen[-1].bytes, seen[-1].complete) == (3000, True)
    assert [r.complete for r in seen[:-1]] == [False] * (len(seen) - 1)
    assert kept.read() == stream_of("a.png", 3000)


@pytest.mark.asyncio
async def test_an_update_to_less(tmp_path: Path) -> None:
    gate, kept = threading.Semaphore(2), MemoryStream()
    opener = FakeOpener(length=20_000, gate=gate)
    async with (
        serving(pictures(tmp_path), opener) as daemon,
        diffc_client.connect(daemon.url, decoders=FakeDecoders(), patience=0.0) as connected,
    ):
        delivery = connected.open("a.png", kept=kept)
        await anext(delivery)
        delivery.update(bytes=100)
        # The next picture of the same sender is not disturbed.
        seen = [refinement async for refinement in delivery]
        gate.release(100)
        assert await connected.receive("b.png", MemoryStream(), bytes=50) is Reason.TARGET
    assert seen[-1].complete
    assert seen[-1].bytes == kept.length <= 600


@pytest.mark.asyncio
async def test_an_update_that_crosses_the_end() -> None:
    """The stream is opened again where it ended; nobody who looks at it can tell."""
    script, kept = Script(late=True), MemoryStream()
    async with scripted(script) as connected:
        delivery = connected.open("a.png", bytes=1000, kept=kept)
        assert (await anext(delivery)).bytes == 1000
        delivery.update(bytes=1500, weight=3.0)
        seen = [(r.bytes, r.complete) async for r in delivery]
    assert seen[-1] == (1500, True)
    assert kept.read() == stream_of("a.png", 1500)
    assert script.opens() == [
        (0, Target(bytes=1000), 1.0),
        (1000, Target(bytes=1500), 3.0),
    ]
    assert [(m.target, m.weight) for m in script.heard if isinstance(m, Update)] == [
        (Target(bytes=1500), 3.0)
    ]
    assert script.links == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("raised", [700, 1500])
async def test_an_update_beyond_what_was_shown_of_what_is_held(raised: int) -> None:
    """The decoder gets all that is held of it, and then what comes."""
    script, kept, decoders = Script(late=True), MemoryStream(), FakeDecoders()
    kept.append(stream_of("a.png", 1000))
    async with scripted(script, decoders) as connected:
        delivery = connected.open("a.png", bytes=300, kept=kept)
        assert (await anext(delivery)).bytes == 300
        await script.opened.wait()
        delivery.update(bytes=raised)
        seen = [(r.bytes, r.complete) async for r in delivery]
    assert seen[-1] == (raised, True)
    [decoder] = decoders.made
    assert decoder.data == stream_of("a.png", raised)
    assert kept.read() == stream_of("a.png", max(raised, 1000))


@pytest.mark.asyncio
async def test_an_update_after_the_last_refinement_is_nothing() -> None:
    script = Script()
    async with scripted(script) as connected:
        delivery = connected.open("a.png", bytes=1000)
        assert [r.bytes async for r in delivery][-1] == 1000
        delivery.update(bytes=1500)
        assert [r async for r in delivery] == []
    assert len(script.opens()) == 1
    assert not any(isinstance(m, Update) for m in script.heard)


@pytest.mark.asyncio
async def test_an_update_before_anything_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the iteration begins, and while the link is being made."""
    script = Script()
    async with scripted(script) as connected:
        delivery = connected.open("a.png", bytes=1000)
        delivery.update(bytes=300, weight=2.0)
        assert [r.bytes async for r in delivery][-1] == 300
        delivery, dial = connected.open("a.png"), connected.dial

        async def dialled() -> AnyLink:
            delivery.update(bytes=400)
            return await dial()

        monkeypatch.setattr(connected, "dial", dialled)
        assert [r.bytes async for r in delivery][-1] == 400
    assert script.opens() == [(0, Target(bytes=300), 2.0), (0, Target(bytes=400), 1.0)]


@pytest.mark.asyncio
async def test_what_is_wanted_is_told_to_the_sender() -> None:
    script = Script()
    async with scripted(script) as connected:
        async for _ in connected.open("a.png", bytes=900, bpp=50.0, side=64, psnr=31.5, weight=0.5):
            pass
        await connected.receive("a.png", MemoryStream(), psnr=20.0, weight=2.0, bytes=10)
    whole = Target(bytes=900, bpp=50.0, side=64, psnr=31.5)
    assert script.opens() == [(0, whole, 0.5), (0, Target(bytes=10, psnr=20.0), 2.0)]


@pytest.mark.asyncio
async def test_the_catalogue_says_what_there_is(tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    async with (
        serving(folder) as daemon,
        diffc_client.connect(daemon.url, decoders=FakeDecoders(), patience=0.0) as connected,
    ):
        entries = await connected.catalogue()
        assert tuple(entries) == Catalogue(folder).entries()
        assert await connected.images() == [entry.name for entry in entries]
        (folder / "a.png").write_bytes(b"another")
        again = await connected.catalogue()
        assert again[0].thumbprint != entries[0].thumbprint
        assert again[1:] == entries[1:]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "image", "file"),
    [
        ("/cam1/a.png", "cam1/a.png", "a.png"),
        ("/cam1/sub/c.jpg", "cam1/sub/c.jpg", "c.jpg"),
        ("/cam1//sub/c.jpg", "sub/c.jpg", "c.jpg"),
        ("/cam1/", "a.png", "a.png"),
        ("/cam1/a.png", "b.png", "b.png"),
    ],
)
async def test_senders_below_a_path(tmp_path: Path, path: str, image: str, file: str) -> None:
    async with (
        serving(pictures(tmp_path)) as daemon,
        proxying(daemon.port, below="/cam1") as proxy,
        diffc_client.connect(
            f"ws://127.0.0.1:{proxy.port}{path}", decoders=FakeDecoders(), patience=0.0
        ) as sender,
    ):
        for length in (1000, 2000):
            kept = MemoryStream()
            await sender.receive(image, kept, bytes=length)
            assert kept.read() == stream_of(file, length)
            await (await sender.dial()).close()  # the next goes straight there
        assert await sender.images() == ["a.png", "b.png", "sub/c.jpg"]
    folder = "/cam1/sub" if image == "cam1/sub/c.jpg" else "/cam1"
    assert proxy.asked[0] == f"GET {folder}/ HTTP/1.1"
    assert set(proxy.asked[1:]) == {"GET /cam1/ HTTP/1.1"}


@pytest.mark.asyncio
async def test_streams_below_a_path_over_plain_http(tmp_path: Path) -> None:
    async with serving(pictures(tmp_path)) as daemon, proxying(daemon.port, below="/cam1") as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        for path, image in (("/cam1/", "a.png.dfc"), ("/cam1/a.png.dfc", "cam1/a.png.dfc")):
            async with diffc_client.connect(
                f"{url}{path}", decoders=FakeDecoders(), patience=0.0
            ) as sender:
                kept = MemoryStream()
                await sender.receive(image, kept, bytes=1000)
                assert kept.read() == stream_of("a.png", 1000)


@pytest.mark.asyncio
async def test_a_folder_of_pictures_is_no_path_of_a_sender(tmp_path: Path) -> None:
    async with (
        serving(pictures(tmp_path)) as daemon,
        diffc_client.connect(
            f"{daemon.url}/sub/c.jpg", decoders=FakeDecoders(), patience=0.0
        ) as sender,
    ):
        kept = MemoryStream()
        await sender.receive("sub/c.jpg", kept, bytes=1000)
        assert kept.read() == stream_of("c.jpg", 1000)


@pytest.mark.asyncio
async def test_where_nobody_is_below_a_path_it_is_asked_for_once(tmp_path: Path) -> None:
    async with proxying(0, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n") as proxy:
        with pytest.raises(RemoteProtocolError, match="HTTP 404"):
            async with diffc_client.connect(
                f"ws://127.0.0.1:{proxy.port}/cam1/a.png", decoders=FakeDecoders()
            ):
                pass
    assert proxy.asked == ["GET /cam1/ HTTP/1.1"]
