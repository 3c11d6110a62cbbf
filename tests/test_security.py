"""The security checklist: every threat of docs/security.md is tried, and comes to nothing.

These are what is said, stored and decoded; access and floods have files of their own.
"""

from __future__ import annotations

import ast
import re
import tempfile
import tracemalloc
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from fakes import stream_of
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import pictures, serving
from sources import model, stream
from viewer_files import viewer
from visitors import dial, greeted
from websocket_client import everything, heard
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from diffc_server.cache.store import Outcome, Stored, open_store
from diffc_stream.codec import Decoder
from diffc_stream.container import Header
from diffc_stream.container.grammar import MAX_SIDE
from diffc_stream.diffusion.architecture import Architecture
from diffc_stream.diffusion.collection import Collection
from diffc_stream.diffusion.network import save_model
from diffc_stream.diffusion.unet import UNet
from diffc_stream.errors import (
    NothingDecodable,
    PictureTooLarge,
    RemoteProtocolError,
    StreamError,
    UnknownModel,
    UnreadableModel,
)
from diffc_stream.session import (
    MAX_MESSAGE,
    SUBPROTOCOL,
    Ack,
    Code,
    Data,
    Error,
    Open,
    decode,
    encode,
)
from diffc_stream.session.messages import CONTROL
from diffc_viewer import Assets, Site

ROOT = Path(__file__).parent.parent
CODE = [
    path
    for folder in ("diffc_stream", "server", "client", "benchmarks", "examples", "fuzz", "training")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "node_modules" not in path.parts
]


@cache
def parsed() -> list[tuple[Path, list[ast.AST]]]:
    """Return all code of the project."""
    return [(path, list(ast.walk(ast.parse(path.read_text())))) for path in CODE]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(Assets(home=viewer(tmp_path / "viewer")))


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """The file of tokens."""
    return tmp_path / "tokens.toml"


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_oversize_fragments_and_deflate(folder: Path) -> None:
    async with serving(folder) as sender:
        async with connect(
            sender.url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            proxy=None,
            compression="deflate",
        ) as websocket:
            assert websocket.response is not None
            assert "Sec-WebSocket-Extensions" not in websocket.response.headers
            await websocket.send(bytes(MAX_MESSAGE + 1))
            assert await everything(websocket) == []
            assert websocket.close_code == 1009
        async with dial(sender.url) as websocket:
            with suppress(ConnectionClosed):
                await websocket.send(b"x" for _ in range(5000))
            await websocket.wait_closed()
            assert websocket.close_code in (1002, 1009)


def test_amplifying_and_deep_messagepack() -> None:
    bombs = [
        b"\x91" * 200_000,
        b"\x91" * (MAX_MESSAGE - 1),
        b"\xdc\xff\xff" + b"\x80" * (MAX_MESSAGE - 4),
        b"\xdd\xff\xff\xff\xff" + b"\x90" * (MAX_MESSAGE - 6),
        b"\xdf\x7f\xff\xff\xff" + b"\xc0\x80" * 8000,
        b"\x9f" + b"\xdb\xff\xff\xff\xff" + bytes(100),
        b"\x9f" + b"\xc6\xff\xff\xff\xff" + bytes(100),
        b"\x93\xc9\xff\xff\xff\xff\x01" + bytes(100),
        b"\x93" + b"\xd4\x01\x00" * 3,
        b"\x93" + b"\xc7\x00\xff" * 3,
    ]
    tracemalloc.start()
    try:
        for message in CONTROL:
            for bomb in bombs:
                with pytest.raises(RemoteProtocolError):
                    decode(bytes([message.kind]) + bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2e6


@pytest.mark.asyncio
@pytest.mark.parametrize("lie", [2**53, 5000, 1, -1])
async def test_ack_lies_and_overflow(folder: Path, lie: int) -> None:
    async with serving(folder) as sender, greeted(sender.url) as websocket:
        if lie < 5000:
            # Backwards, or below nothing.
            await websocket.send(encode(Open(stream=1, image="a.png")))
            data = await heard(websocket)
            assert isinstance(data, Data)
            await websocket.send(encode(Ack(received=len(data.payload))))
        ack = encode(Ack(received=max(lie, 0)))
        await websocket.send(ack if lie >= 0 else ack.replace(b"\x00", b"\xff"))
        last = (await everything(websocket))[-1]
        assert isinstance(last, Error)
        assert (last.stream, last.code) == (0, Code.PROTOCOL)


def test_overflowing_numbers() -> None:
    for head in (b"\xff" * 9 + b"\x7f", b"\x01" + b"\xff" * 9 + b"\x01", b"\x80" * 30):
        with pytest.raises(RemoteProtocolError):
            decode(bytes([Data.kind]) + head + bytes(20))


KEY = "5" * 64
KEPT = stream_of("a.png", 3000)


def test_cache_poisoning_and_torn_writes(tmp_path: Path) -> None:
    """Whatever is done to what is kept, nothing else is ever taken from there."""
    store = open_store(str(tmp_path / "kept"))
    store.save(KEY, Stored(data=KEPT, complete=True))
    [file] = (path for path in (tmp_path / "kept").rglob("*") if path.stat().st_size > 2000)
    whole = file.read_bytes()
    for place in range(0, len(whole), 97):
        flipped = bytearray(whole)
        flipped[place] ^= 1
        for data in (bytes(flipped), whole[:place], bytes(len(whole)), whole + b"x"):
            file.write_bytes(data)
            assert store.load(KEY) is None
    # What is another's stream does not become this one's by its name.
    store.save("6" * 64, Stored(data=KEPT, complete=True))
    [other] = (path for path in file.parent.iterdir() if path.name.startswith("666"))
    file.write_bytes(other.read_bytes())
    assert store.load(KEY) is None
    assert store.save(KEY, Stored(data=KEPT, complete=True)) is Outcome.STORED
    assert store.load(KEY) == Stored(data=KEPT, complete=True)
    # Who came first is not overwritten with something else.
    assert store.save(KEY, Stored(data=bytes(4000), complete=True)) is Outcome.REFUSED
    assert store.load(KEY) == Stored(data=KEPT, complete=True)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9000)), max_size=30))
def test_disk_fill(asked: list[tuple[int, int]]) -> None:
    """However much is asked for, what is kept stays within its size."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder, most_bytes=20_000)
        for number, length in asked:
            store.save(str(number) * 64, Stored(data=bytes(length), complete=False))
            held = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
            assert held <= 20_000


def test_malicious_stream_at_the_client() -> None:
    huge = Header(model=model().fingerprint, width=MAX_SIDE, height=MAX_SIDE, seed=0).encode()
    decoder = Decoder([model()])
    tracemalloc.start()
    try:
        with pytest.raises(PictureTooLarge):
            decoder.feed(huge + bytes(1000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2e6
    # Cut anywhere, there is a picture or word that there is none yet.
    whole, decoder = stream(400), Decoder([model()])
    for place, byte in enumerate(whole):
        decoder.feed(bytes([byte]))
        if place % 50 == 0:
            with suppress(NothingDecodable):
                assert decoder.render().image.dtype == np.uint8
    # Steps without end: what comes of them is bounded by the bytes that they take.
    for junk in (b"\x00", b"\xff", b"\x01"):
        decoder = Decoder([model()])
        with suppress(StreamError):
            decoder.feed(whole[:60] + junk * 5000)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0, 1e300])
def test_numbers_that_are_none(bad: float) -> None:
    good = encode(Open(stream=1, image="a.png", psnr=30.5))
    packed = np.array(30.5, ">f8").tobytes()
    assert packed in good
    with pytest.raises(RemoteProtocolError):
        decode(good.replace(packed, np.array(bad, ">f8").tobytes()))


def test_model_swap(tmp_path: Path) -> None:
    """Altered weights are refused, and so is a stream of another model."""
    path = tmp_path / "tiny.safetensors"
    save_model(path, UNet(Architecture(widths=(4, 8), blocks=(1, 1))), name="tiny")
    held = Collection.at_hand(path).preferred
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(UnreadableModel, match="damaged"):
        _ = Collection.at_hand(path).preferred
    header = Header(model="0badf00d", width=64, height=64, seed=0).encode()
    with pytest.raises(UnknownModel):
        Decoder([held]).feed(header + bytes(100))
    path.write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UnreadableModel):
        _ = Collection.at_hand(path).preferred


DANGEROUS = {
    *("pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle"),
    *("torch.load", "yaml.load", "eval", "exec", "os.system"),
}


def test_nothing_is_unpickled_or_executed() -> None:
    for path, nodes in parsed():
        for node in nodes:
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                imported = {alias.name for alias in node.names}
                if imported == {"UnpicklingError"}:
                    continue  # what a loader raises loads nothing
                names = [node.module or ""]
            elif isinstance(node, ast.Call):
                names = [_dotted(node.func)]
                assert not any(keyword.arg == "shell" for keyword in node.keywords), path
                told = {keyword.arg: keyword.value for keyword in node.keywords}
                if "weights_only" in told and ast.unparse(told["weights_only"]) == "True":
                    continue  # tensors and nothing else
                pickled = [k.value for k in node.keywords if k.arg == "allow_pickle"]
                assert all(ast.unparse(value) == "False" for value in pickled), path
            assert not DANGEROUS.intersection(names), f"{path}: {names}"


def _dotted(function: ast.expr) -> str:
    """Return the name of what is called, or nothing if it has none."""
    match function:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=owner, attr=name):
            return f"{_dotted(owner)}.{name}"
    return ""


@pytest.mark.asyncio
async def test_ports_of_others(folder: Path) -> None:
    """Nothing here opens the ports of a cluster, whose visitors run what they like."""
    for path, nodes in parsed():
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                module = getattr(node, "module", None) or ""
                names = [module, *(alias.name for alias in node.names)]
                roots = {name.partition(".")[0] for name in names}
                assert not roots & {"ray", "dask", "distributed", "celery"}, path
    async with serving(folder) as sender:
        assert sender._listener is not None
        assert len(sender._listener.sockets) == 1


def test_the_document_names_every_test() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    here = {
        node.name
        for path in Path(__file__).parent.glob("test_security*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and node.name != "test_the_document_names_every_test"
    }
    threats = text.partition("\n## Threats\n")[2].partition("\n## ")[0]
    rows = [row for row in threats.splitlines() if re.match(r"\| [A-Z]", row) and "`test_" in row]
    named = [re.findall(r"`(test_\w+)`", row) for row in rows]
    assert all(named)
    assert {name for names in named for name in names} == here
    assert len(rows) == 18
