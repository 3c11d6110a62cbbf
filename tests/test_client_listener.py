"""Senders that dial: both ends of it."""

from __future__ import annotations

import asyncio
import http
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from authority import issue
from fakes import FakeOpener, stream_of
from serving import pictures
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus
from websockets.http11 import Request, Response
from websockets.typing import Origin, Subprotocol

from diffc_client import Listener
from diffc_client.mirror import listener as listening
from diffc_client.mirror.authentication import by_token
from diffc_client.mirror.listener import MOST_SENDERS, is_name
from diffc_server import Catalogue, Dialler, Pipeline
from diffc_server.ops.metrics import SenderMetrics
from diffc_stream.session import PUSH_SUBPROTOCOL, SUBPROTOCOL, Hello, decode
from diffc_stream.transport.impaired_link import Link
from diffc_stream.transport.impairment import Impairment
from diffc_stream.transport.tokens import Tokens, digest_of

pytestmark = [pytest.mark.asyncio, pytest.mark.virtual_time]

NAMES = ("a.png", "b.png", "sub/c.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def dialling(url: str, folder: Path, length: int = 5000) -> Dialler:
    opener = FakeOpener(length=length)
    return Dialler(url, Catalogue(folder), Pipeline(opener), draw=lambda: 1.0)


def dial(port: int, path: str = "/camera", protocol: str = PUSH_SUBPROTOCOL) -> connect:
    return connect(f"ws://127.0.0.1:{port}{path}", subprotocols=[Subprotocol(protocol)], proxy=None)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(3600):
        while not condition():  # noqa: ASYNC110 - files are looked at, too
            await asyncio.sleep(0.25)


def whole(home: Path, length: int = 5000) -> bool:
    """Tell whether all pictures of the folder are mirrored there."""
    return all(
        (home / f"{name}.dfc").exists()
        and (home / f"{name}.dfc").read_bytes() == stream_of(Path(name).name, length)
        for name in NAMES
    )


async def test_a_sender_that_dials_is_mirrored(folder: Path, kept: Path) -> None:
    async with Listener(kept) as listener:
        url = f"ws://127.0.0.1:{listener.port}/camera"
        async with dialling(url, folder) as dialler:
            await until(lambda: whole(kept / "camera"))
            assert dialler.connected
            assert listener.senders == ("camera",)
            (folder / "new.png").write_bytes(b"new")
            await until((kept / "camera" / "new.png.dfc").exists)
        await until(lambda: not listener.senders)
        assert not dialler.connected


async def test_a_sender_that_stops_says_so_and_saves_what_is_new(
    folder: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[bool] = []

    async def save(_: Pipeline) -> None:
        saved.append(dialler.connected)

    monkeypatch.setattr(Pipeline, "save", save)
    metrics = SenderMetrics()
    async with Listener(kept) as listener:
        url = f"ws://127.0.0.1:{listener.port}/camera"
        dialler = Dialler(url, Catalogue(folder), Pipeline(FakeOpener()), metrics=metrics)
        async with dialler:
            await until(lambda: dialler.connected)
            draining = [metrics.draining]
        draining.append(metrics.draining)
    assert draining == [False, True]
    assert saved == [False]


async def test_over_a_link_that_is_cut_from_the_other_side(folder: Path, kept: Path) -> None:
    length = 7000
    slow = [Impairment(rate=2000.0, cut_after=place) for place in (500, 2000, 4000, 7000)]
    async with (
        Listener(kept) as listener,
        Link("127.0.0.1", listener.port, up=[*slow, Impairment(rate=2000.0)]) as link,
        dialling(f"ws://127.0.0.1:{link.port}/camera", folder, length),
    ):
        await until(lambda: whole(kept / "camera", length))
        assert len(link.connections) == 5
        assert link.carried_up < 1.05 * 3 * length + 5 * 1800


async def test_a_receiver_that_is_not_there_yet(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Listener(kept) as listener:
        port = listener.port
    async with dialling(f"ws://127.0.0.1:{port}/camera", folder):
        await asyncio.sleep(100)
        # It is said once, and not every time.
        said = [r for r in caplog.records if "cannot be reached" in r.getMessage()]
        assert [record.levelname for record in said] == ["WARNING"]
        async with Listener(kept, port=port):
            await until(lambda: whole(kept / "camera"))


async def test_a_listener_that_goes_and_comes_back(folder: Path, kept: Path) -> None:
    async with Listener(kept) as listener:
        port = listener.port
        async with dialling(f"ws://127.0.0.1:{port}/camera", folder, 20_000):
            await until((kept / "camera" / "a.png.dfc").exists)
            await listener.__aexit__()
            async with Listener(kept, port=port):
                await until(lambda: whole(kept / "camera", 20_000))


async def test_of_two_of_one_name_the_later_one_stays(
    folder: Path, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Listener(kept) as listener:
        async with dial(listener.port) as silent:
            assert isinstance(decode(await received(silent)), Hello)
            async with dialling(f"ws://127.0.0.1:{listener.port}/camera", folder):
                await until(lambda: whole(kept / "camera"))
                await silent.wait_closed()
                assert listener.senders == ("camera",)
        assert "a newer connection takes its place" in caplog.text


async def received(websocket: ClientConnection) -> bytes:
    data = await websocket.recv()
    assert isinstance(data, bytes)
    return data


async def test_two_senders_have_two_folders(folder: Path, kept: Path) -> None:
    async with Listener(kept) as listener:
        url = f"ws://127.0.0.1:{listener.port}"
        async with dialling(f"{url}/one", folder), dialling(f"{url}/two", folder):
            await until(lambda: whole(kept / "one") and whole(kept / "two"))


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("/", 404), ("/../up", 404), ("/%2e%2e", 404), ("/a/b", 404), ("/.hidden", 404)),
        *(("/a%2Fb", 404), ("/" + "x" * 65, 404), ("/a%00", 404), ("/a.", 404), ("/%C3%A4", 404)),
    ],
)
async def test_names_that_are_none(kept: Path, path: str, status: int) -> None:
    async with Listener(kept) as listener:
        with pytest.raises(InvalidStatus) as caught:
            await dial(listener.port, path)
        assert caught.value.response.status_code == status


async def test_names() -> None:
    assert all(map(is_name, ["camera", "Cam-1", "a.b_c", "7"]))
    assert not any(map(is_name, ["", ".", "..", "a..b", "a b", "a/b", "-a", "x" * 65]))


async def test_who_else_is_refused(kept: Path) -> None:
    async with Listener(kept, most=1) as listener:
        with pytest.raises(InvalidStatus) as caught:
            await dial(listener.port, protocol=SUBPROTOCOL)
        assert caught.value.response.status_code == 400
        with pytest.raises(InvalidStatus) as caught:
            await connect(
                f"ws://127.0.0.1:{listener.port}/page",
                subprotocols=[Subprotocol(PUSH_SUBPROTOCOL)],
                origin=Origin("https://example.org"),
                proxy=None,
            )
        assert caught.value.response.status_code == 403
        async with dial(listener.port, "/one"):
            await until(lambda: listener.senders == ("one",))
            with pytest.raises(InvalidStatus) as caught:
                await dial(listener.port, "/two")
            assert caught.value.response.status_code == 503
            # The same one may come again, though.
            async with dial(listener.port, "/one"):
                pass


async def test_names_are_not_taken_without_end(
    folder: Path, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "MOST_NAMES", 2)
    async with Listener(kept) as listener:
        url = f"ws://127.0.0.1:{listener.port}"
        for name in ("one", "two", "one"):
            async with dialling(f"{url}/{name}", folder):
                await until(partial(whole, kept / name))
            await until(lambda: not listener.senders)
        with pytest.raises(InvalidStatus) as caught:
            await dial(listener.port, "/three")
        assert caught.value.response.status_code == 503


async def test_somebody_else_may_say_who_it_is(folder: Path, kept: Path) -> None:
    def known(request: Request) -> str | http.HTTPStatus:
        return "cam" if request.headers.get("Authorization") else http.HTTPStatus.UNAUTHORIZED

    async with Listener(kept, authenticate=known) as listener:
        url = f"ws://127.0.0.1:{listener.port}/"
        with pytest.raises(InvalidStatus) as caught:
            await dial(listener.port)
        assert caught.value.response.status_code == 401
        catalogue, pipeline = Catalogue(folder), Pipeline(FakeOpener())
        async with Dialler(url, catalogue, pipeline, headers={"Authorization": "Bearer x"}):
            await until(lambda: whole(kept / "cam"))


async def test_tokens_are_not_guessed_without_end(
    folder: Path, kept: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = tmp_path / "tokens.toml"
    tokens.write_text(f'[[token]]\nname = "cam"\nsha256 = "{digest_of("right")}"\n')

    async def refused(listener: Listener, **headers: str) -> Response:
        with pytest.raises(InvalidStatus) as caught:
            await connect(
                f"ws://127.0.0.1:{listener.port}/",
                subprotocols=[Subprotocol(PUSH_SUBPROTOCOL)],
                additional_headers=headers,
                proxy=None,
            )
        return caught.value.response

    async with Listener(kept, authenticate=by_token(Tokens(tokens))) as listener:
        answers = [await refused(listener, Authorization=f"Bearer {n}") for n in range(12)]
        assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
        assert answers[-1].headers["Retry-After"] == "6"
        assert caplog.text.count("127.0.0.1 has shown a token that is unknown") == 10
        # Who has a right one is let in meanwhile, and who shows none is told what it takes.
        assert (await refused(listener)).status_code == 401
        url = f"ws://127.0.0.1:{listener.port}/"
        right = {"Authorization": "Bearer right"}
        async with Dialler(url, Catalogue(folder), Pipeline(FakeOpener()), headers=right):
            await until(lambda: whole(kept / "cam"))
        await asyncio.sleep(7)
        assert (await refused(listener, Authorization="Bearer x")).status_code == 401


async def test_who_is_not_welcome_any_more_has_to_go(folder: Path, kept: Path) -> None:
    welcome = {"camera"}

    def admit(request: Request) -> str | http.HTTPStatus:
        name = request.path.removeprefix("/")
        return name if name in welcome else http.HTTPStatus.UNAUTHORIZED

    async with Listener(kept, authenticate=admit) as listener:
        url = f"ws://127.0.0.1:{listener.port}/camera"
        async with dialling(url, folder) as dialler:
            await until(lambda: whole(kept / "camera"))
            await asyncio.sleep(2 * listening.REREAD)
            assert dialler.connected
            welcome.clear()
            await until(lambda: not listener.senders)


async def test_a_folder_that_cannot_be_made(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "camera").write_bytes(b"in the way")
    async with (
        Listener(tmp_path) as listener,
        dialling(f"ws://127.0.0.1:{listener.port}/camera", folder),
    ):
        await until(lambda: "camera cannot be mirrored" in caplog.text)


@asynccontextmanager
async def answering(subprotocol: str | None) -> AsyncIterator[str]:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.wait_closed()

    offered = [Subprotocol(subprotocol)] if subprotocol else None
    async with serve(handler, "127.0.0.1", 0, subprotocols=offered) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/x"


@pytest.mark.parametrize(
    ("subprotocol", "said"), [(None, "does not speak"), (SUBPROTOCOL, "HTTP 400")]
)
async def test_who_is_no_receiver(
    folder: Path, subprotocol: str | None, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with answering(subprotocol) as url, dialling(url, folder):
        await until(lambda: said in caplog.text)


async def test_addresses_that_lead_nowhere(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with dialling("http://hub/x", folder):
        await until(lambda: "does not answer like a receiver" in caplog.text)


async def test_who_connects_and_says_nothing_keeps_no_sender_out(folder: Path, kept: Path) -> None:
    async with Listener(kept, most=1) as listener:
        held = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(200)]
        assert listener.admission.newcomers <= listener.admission.most_newcomers
        async with dialling(f"ws://127.0.0.1:{listener.port}/camera", folder):
            await until(lambda: whole(kept / "camera"))
        for _, writer in held:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        await until(lambda: listener.admission.open == 0)


async def test_handshakes_count_as_connections(kept: Path, tmp_path: Path) -> None:
    secure = issue(tmp_path).certificate.context
    async with Listener(kept, tls=secure) as listener:
        held = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(100)]
        await until(lambda: listener.admission.dropped >= 100 - MOST_SENDERS)
        assert listener.admission.newcomers <= listener.admission.most_newcomers
        for _, writer in held:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        await until(lambda: listener.admission.open == 0)


async def test_a_hub_without_files_to_open_says_so(kept: Path) -> None:
    async with Listener(kept) as listener:
        assert listener._spare.lend()
        with pytest.raises(InvalidStatus) as caught:
            await dial(listener.port)
        assert caught.value.response.status_code == 503
        await until(lambda: not listener.admission.pressed)
        async with dial(listener.port):
            pass


async def test_leaving_ends_handshakes(kept: Path, tmp_path: Path) -> None:
    clock = asyncio.get_running_loop().time
    async with Listener(kept, tls=issue(tmp_path).certificate.context) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        await until(lambda: listener.admission.newcomers == 1)
        left = clock()
    assert clock() - left < 5.0
    assert listener.admission.open == 0
    with suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def test_too_few_open_files_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(listening, "allow", lambda wanted, _: min(wanted, 100))
    assert listening.senders_allowed() == MOST_SENDERS
    assert caplog.text == ""
    monkeypatch.setattr(listening, "allow", lambda wanted, _: min(wanted, 10))
    assert listening.senders_allowed() == 10
    assert "no more than 10 senders: the system allows too few open files" in caplog.text
