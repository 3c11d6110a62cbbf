"""Ctrl-C ends a command wherever it is, in one line, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from serving import Background, pictures
from sources import picture

from diffc_stream.codec import Encoder
from diffc_stream.diffusion.collection import default_model
from diffc_stream.interruption import CODE, run
from diffc_stream.picture import save_png

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")

SOON = 15.0
"""Seconds: one, and what a machine that has other things to do adds to it."""

HOOK = """\
import os, signal, sys, time

# What is started in the background of a shell ignores it.
signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupt():
    print("sent", time.monotonic(), file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGINT)

class Hook:
    # Interrupts as soon as a module of this name is asked for.
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            interrupt()
        return None

sys.meta_path.insert(0, Hook())
"""
"""What a command is run in; ``{module}`` is where it is interrupted."""


def interrupted(
    arguments: list[str], tmp_path: Path, *, module: str = "", more: str = ""
) -> tuple[int, list[str], float]:
    """Run a command that interrupts itself; return exit code, lines of errors, and seconds."""
    program = arguments[0]
    home = {"diffc": "diffc_stream", "diffc-server": "diffc_server"}.get(program, "diffc_client")
    script = HOOK.format(module=module) + more
    script += f"\nsys.argv = {arguments!r}\nfrom {home}.start import main\nsys.exit(main())\n"
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent / "support"),
        "HOME": str(tmp_path / "home"),
        "DIFFC_CACHE": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=60,
        cwd=tmp_path,
    )
    ended = time.monotonic()
    lines = done.stderr.splitlines()
    [sent] = [float(line.split()[1]) for line in lines if line.startswith("sent ")]
    return done.returncode, [line for line in lines if not line.startswith("sent ")], ended - sent


@pytest.fixture(scope="module")
def stream() -> bytes:
    """A stream of the default model."""
    return b"".join(Encoder(picture(), default_model(), target_bytes=200))


def commands(tmp_path: Path) -> dict[str, list[str]]:
    """Return a call of every command, by its name; each has something to work on."""
    photo, folder = tmp_path / "photo.png", tmp_path / "pictures"
    folder.mkdir()
    save_png(photo, np.tile(picture(), (4, 4, 1)))
    nobody, here = "ws://127.0.0.1:9/a.png", "udp://127.0.0.1:0"
    to = ["udp://127.0.0.1:9", "--carousel"]
    return {
        "encode": ["diffc", "encode", str(photo), str(tmp_path / "o.dfc"), "--bytes", "2000"],
        "decode": ["diffc", "decode", str(tmp_path / "a.dfc"), str(tmp_path / "o.png")],
        "inspect": ["diffc", "inspect", str(tmp_path / "a.dfc"), "--original", str(photo)],
        "models": ["diffc", "models"],
        "bench": ["diffc", "bench", "gaussian", "--help"],
        "send-packets": ["diffc", "send-packets", str(tmp_path / "a.dfc"), *to],
        "receive-packets": ["diffc", "receive-packets", here, str(tmp_path / "o.png")],
        "server": ["diffc-server", str(folder), "--port", "0"],
        "get": ["diffc-client", "get", nobody, "-o", str(tmp_path / "o.png")],
        "list": ["diffc-client", "list", "ws://127.0.0.1:9"],
        "run": ["diffc-client", "run", nobody, str(tmp_path / "kept")],
        "mirror": ["diffc-client", "mirror", "ws://127.0.0.1:9", str(tmp_path / "kept")],
        "view": ["diffc-client", "view", "ws://127.0.0.1:9", "--no-browser"],
        "relay-packets": ["diffc-client", "relay-packets", here],
    }


NAMES = ("encode", "decode", "inspect", "models", "bench", "send-packets", "receive-packets")
CLIENT = ("get", "list", "run", "mirror", "view", "relay-packets")


@pytest.mark.parametrize(
    ("name", "module"),
    [
        *((name, "diffc_stream.cli.arguments") for name in NAMES),
        *((name, "diffc_stream.transport.settings") for name in ("server", *CLIENT)),
        ("encode", "diffc_stream.codec.encoder"),
        ("encode", "onnxruntime.capi._pybind_state"),
        ("models", "safetensors"),
        ("bench", "diffc_benchmarks.gaussian"),
        ("server", "websockets.asyncio.server"),
        ("server", "onnxruntime"),
        ("server", "numpy"),
        ("get", "diffc_stream.diffusion.collection"),
        ("list", "websockets.asyncio.client"),
        ("view", "diffc_viewer"),
        ("receive-packets", "diffc_stream.transport.carriers"),
        ("relay-packets", "diffc_viewer"),
    ],
)
def test_while_it_imports(name: str, module: str, tmp_path: Path) -> None:
    arguments = commands(tmp_path)[name]
    before = sorted(tmp_path.rglob("*"))
    code, lines, seconds = interrupted(arguments, tmp_path, module=module)
    assert (code, lines) == (CODE, [f"{arguments[0]}: interrupted"])
    assert seconds < SOON
    assert sorted(tmp_path.rglob("*")) == before


IN_MAIN_THREAD = """
import threading
from diffc_stream.diffusion.learned import LearnedDenoiser

def evaluate(*_):
    # As in native code: whoever handles signals has no turn until it returns, which takes long.
    signal.signal(signal.SIGINT, lambda *_: None)
    interrupt()
    threading.Event().wait()

LearnedDenoiser.__call__ = evaluate
"""
IN_WORKER = """
import threading
from fakes import FakeDecoder, FakeDecoders
from diffc_client import ModelDecoders

def render(*_):
    interrupt()
    threading.Event().wait()

FakeDecoder.render = render
ModelDecoders.load = lambda *_, **__: FakeDecoders()
"""


@pytest.mark.parametrize("name", ["encode", "decode", "inspect"])
def test_while_it_computes(name: str, stream: bytes, tmp_path: Path) -> None:
    arguments = commands(tmp_path)[name]
    (tmp_path / "a.dfc").write_bytes(stream)
    before = sorted(tmp_path.rglob("*"))
    code, lines, seconds = interrupted(arguments, tmp_path, more=IN_MAIN_THREAD)
    assert (code, lines) == (CODE, [f"{arguments[0]}: interrupted"])
    assert seconds < SOON
    assert sorted(tmp_path.rglob("*")) == before


IN_THE_AIR = """
import time
from diffc_stream.transport.carriers import Datagrams

calls = 0

def waits(*_):
    # Once at a packet in the middle, or while none comes.
    global calls
    calls += 1
    if calls == 3:
        interrupt()
    time.sleep(0.01)

Datagrams.send = Datagrams.receive = waits
"""


@pytest.mark.parametrize(
    ("name", "ends"), [("send-packets", CODE), ("receive-packets", CODE), ("relay-packets", 0)]
)
def test_while_packets_come_or_go(name: str, ends: int, stream: bytes, tmp_path: Path) -> None:
    arguments = commands(tmp_path)[name]
    (tmp_path / "a.dfc").write_bytes(stream)
    before = sorted(tmp_path.rglob("*"))
    code, lines, seconds = interrupted(arguments, tmp_path, more=IN_THE_AIR)
    assert (code, lines) == (ends, [f"{arguments[0]}: interrupted"] if ends else [])
    assert seconds < SOON
    assert sorted(tmp_path.rglob("*")) == before


def test_get_while_a_thread_computes(tmp_path: Path) -> None:
    with Background(pictures(tmp_path)) as url:
        arguments = ["diffc-client", "get", f"{url}/a.png", "-o", str(tmp_path / "o.png")]
        code, lines, seconds = interrupted(arguments, tmp_path, more=IN_WORKER)
    assert (code, lines) == (CODE, ["diffc-client: interrupted"])
    assert seconds < SOON
    assert not (tmp_path / "o.png").exists()
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("more", [[], ["--png"]])
def test_what_stays_up_ends_as_told_while_a_thread_computes(
    more: list[str], tmp_path: Path
) -> None:
    with Background(pictures(tmp_path)) as url:
        arguments = ["diffc-client", *(["mirror", *more] if more else ["run"])]
        arguments += [url, str(tmp_path / "kept")]
        code, lines, seconds = interrupted(arguments, tmp_path, more=IN_WORKER)
    assert code == 0
    assert "Traceback" not in "\n".join(lines)
    assert seconds < SOON
    assert not list(tmp_path.rglob("*.part"))


def test_what_it_has_become_on_its_way(tmp_path: Path) -> None:
    more = """
from diffc_stream.cli import models

def run(_):
    try:
        interrupt()
        time.sleep(60)
    except KeyboardInterrupt:
        raise ImportError("initialization failed") from None

models.run = run
"""
    code, lines, _ = interrupted(["diffc", "models"], tmp_path, more=more)
    assert (code, lines) == (CODE, ["diffc: interrupted"])


def test_what_is_half_written_goes_also_if_nobody_unwinds(tmp_path: Path) -> None:
    more = f"""
import threading
from pathlib import Path
from diffc_stream.cli import models
from diffc_stream.replacement import replacing

def run(_):
    with replacing(Path({str(tmp_path / "out")!r})) as file:
        file.write(b"half")
        signal.signal(signal.SIGINT, lambda *_: None)
        interrupt()
        threading.Event().wait()

models.run = run
"""
    code, lines, _ = interrupted(["diffc", "models"], tmp_path, more=more)
    assert (code, lines) == (CODE, ["diffc: interrupted"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("background", [False, True])
def test_other_ends_leave_nothing_half_written(
    name: str, native: bool, background: bool, tmp_path: Path
) -> None:
    more = f"""
import hashlib
from pathlib import Path
from diffc_stream.cli import models
from diffc_stream.replacement import replacing

if {background}:  # of a shell
    signal.signal(signal.SIGINT, signal.SIG_IGN)

def send():
    print("sent", time.monotonic(), file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.{name})

def run(_):
    with replacing(Path({str(tmp_path / "out")!r})) as file:
        file.write(b"half")
        if {native}:
            import threading
            threading.Timer(0.2, send).start()
            hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
        send()
        time.sleep(60)

models.run = run
"""
    code, lines, seconds = interrupted(["diffc", "models"], tmp_path, more=more)
    assert (code, lines) == (128 + getattr(signal, name), [])
    assert seconds < SOON
    assert not list(tmp_path.iterdir())


def test_one_that_ignores_it_goes_on_doing_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert run("diffc", lambda: lambda: 7) == 7
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
