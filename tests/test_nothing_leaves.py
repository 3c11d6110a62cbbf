"""No command connects to anybody, or writes anything, that it was not asked for.

What is native in a dependency is seen by nobody but the kernel, so commands run under strace; where
there is none, what they leave in the folders of a user is looked at all the same.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import do_without
from sources import picture, stream

from diffc_stream.picture import save_png

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="traces system calls of Linux")

USERS = {
    "HOME": "home",
    "TMPDIR": "temporary",
    "XDG_CACHE_HOME": "cache",
    "XDG_CONFIG_HOME": "config",
    "XDG_DATA_HOME": "data",
    "XDG_RUNTIME_DIR": "runtime",
    "XDG_STATE_HOME": "state",
}
"""Where programs keep what is theirs; empty at first."""
TELLING = ("connect", "sendto", "sendmsg", "sendmmsg")
MAKING = ("open", "openat", "creat", "mkdir", "mkdirat", "rename", "renameat", "renameat2")
AN_ADDRESS = re.compile(
    r'sin6?_port=htons\((?P<port>\d+)\).*?(?:inet_addr\("|inet_pton\(AF_INET6, ")(?P<host>[^"]+)"'
)
A_NAME = re.compile(r'sun_path=@?"(?P<name>[^"]*)"')
A_FILE = re.compile(r'"(?P<name>(?:[^"\\]|\\.)*)"')


class Watched:
    """Commands of one test, and what they did."""

    def __init__(self, home: Path, tracer: Sequence[str]) -> None:
        self.home = home
        self.work = home / "work"
        for folder in (*USERS.values(), "work", "trace"):
            (home / folder).mkdir()
        self._tracer = tracer
        self._runs = 0
        self.connected: set[str] = set()
        self.written: set[str] = set()

    def run(self, *arguments: object, code: int = 0) -> str:
        """Run a command to its end, and return what it printed."""
        with self.started(*arguments) as process:
            printed, errors = process.communicate(timeout=120)
        assert process.returncode == code, errors
        return printed

    @contextmanager
    def started(self, *arguments: object) -> Iterator[subprocess.Popen[str]]:
        """Run a command for as long as the block; one that stays up then gets Ctrl-C."""
        self._runs += 1
        trace, number = (self.home / "trace" / f"{self._runs}{end}" for end in ("", ".pid"))
        tracer = [*self._tracer, "-o", str(trace)] if self._tracer else []
        # What is started in the background of a shell ignores SIGINT, and its children do.
        told = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL);"
        told += (
            "open(sys.argv[1], 'w').write(str(os.getpid())); os.execvp(sys.argv[2], sys.argv[2:])"
        )
        command = [sys.executable, "-c", told, str(number), *map(str, arguments)]
        process = subprocess.Popen(
            [*tracer, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.work,
            env=self._environment(),
        )
        with process:
            yield process
            if process.poll() is None:
                os.kill(int(number.read_text()), signal.SIGINT)
                process.communicate(timeout=60)
        if self._tracer:
            self._look(trace)

    def left(self) -> set[str]:
        """Return what there is now in the folders of the user."""
        return {
            str(path.relative_to(self.home))
            for folder in USERS.values()
            for path in (self.home / folder).rglob("*")
        }

    def _environment(self) -> Mapping[str, str]:
        kept = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        return environment | {name: str(self.home / folder) for name, folder in USERS.items()}

    def _look(self, trace: Path) -> None:
        for line in trace.read_text(errors="replace").splitlines():
            call = re.match(r"\d+ +(\w+)\(", line)
            if call is None or re.search(r"= -1 E(NOENT|ACCES|NOTDIR)", line):
                continue
            if call[1] in TELLING:
                if found := AN_ADDRESS.search(line):
                    self.connected.add(f"{found['host']}:{found['port']}")
                elif found := A_NAME.search(line):
                    self.connected.add(found["name"])
            elif call[1] not in ("open", "openat") or re.search(r"O_WRONLY|O_RDWR|O_CREAT", line):
                self.written |= {found["name"] for found in A_FILE.finditer(line)}


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    """Where commands are watched."""
    tracer: list[str] = []
    if shutil.which("strace") is None:
        if os.environ.get("CI") == "true":
            do_without("no strace here: install one to see what commands connect to")
    else:
        tracer = ["strace", "-f", "-qq", "--seccomp-bpf", "-s", "500"]
        tracer += ["-e", f"trace={','.join((*TELLING, *MAKING))}"]
        if subprocess.run([*tracer, "true"], capture_output=True, check=False).returncode:
            tracer = []  # a container that does not let it
    return Watched(tmp_path, tracer)


def command(name: str) -> list[str]:
    """Return how a program is called here."""
    home = {"diffc": "diffc_stream"}.get(name, name.replace("-", "_"))
    return [sys.executable, "-m", home]


def check(watched: Watched, *, sender: str = "", left: Sequence[str] = ()) -> None:
    """Assert that nobody but ``sender`` was connected to, and nothing but ``left`` is left.

    Files may be written in the folder of the test, and compiled code where it belongs.
    """
    assert watched.connected <= {sender}
    own = str(watched.home)
    assert {
        name
        for name in watched.written
        if name.startswith("/")
        and not name.startswith((own, "/dev/null", "/dev/tty", "/dev/pts/", "/proc/self/"))
        and "__pycache__" not in name
    } == set()
    assert {
        name for name in watched.left() if not any(name.startswith(given) for given in left)
    } == set()


@pytest.fixture
def photo(watched: Watched) -> Path:
    """A picture to work on."""
    path = watched.work / "photo.png"
    save_png(path, picture())
    return path


def test_pictures_to_files_and_back(watched: Watched, photo: Path) -> None:
    diffc = command("diffc")
    watched.run(*diffc, "encode", photo, "a.dfc", "--bytes", 300)
    watched.run(*diffc, "decode", "a.dfc", "a.png", "--render", "flow")
    watched.run(*diffc, "inspect", "a.dfc", "--original", photo)
    watched.run(*diffc, "models")
    watched.run(*diffc, "models", "add", "no.safetensors", code=6)
    for helped in (["--help"], ["encode", "--help"], ["bench", "--help"]):
        watched.run(*diffc, *helped)
    check(watched)


def test_a_plot(watched: Watched) -> None:
    pytest.importorskip("matplotlib")
    diffc = command("diffc")
    (watched.work / "a.dfc").write_bytes(stream(300))
    watched.run(*diffc, "inspect", "a.dfc", "--plot", "a.svg")
    watched.run(*diffc, "bench", "gaussian", "--help")
    # Its list of fonts, and where it would look for settings.
    check(watched, left=["cache/matplotlib", "config/matplotlib"])


def test_a_sender_and_its_receivers(watched: Watched, photo: Path) -> None:
    folder = watched.work / "pictures"
    folder.mkdir()
    photo.rename(folder / "photo.png")
    client = command("diffc-client")
    serve = [*command("diffc-server"), folder, "--port", 0, "--json", "--compare"]
    with watched.started(*serve, "--store", watched.work / "store", "--metrics", "0") as server:
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        watched.run(*client, "list", url)
        watched.run(*client, "get", f"{url}/photo.png", "-o", "a.png", "--bytes", 300)
        kept = watched.work / "kept"
        with watched.started(*client, "run", url, kept) as process:
            assert process.stderr is not None
            assert any("complete" in line for line in process.stderr)
        with watched.started(*client, "view", url, "--no-browser", "--json") as process:
            assert process.stdout is not None
            assert "url" in json.loads(process.stdout.readline())
        for helped in ([*client, "--help"], [*client, "get", "--help"], [*serve[:3], "--help"]):
            watched.run(*helped)
    # What was received of a picture before, to go on with.
    check(watched, sender=url.removeprefix("ws://"), left=["cache/diffc-stream"])


def test_a_hub_and_a_sender_that_dials(watched: Watched, photo: Path) -> None:
    folder = watched.work / "pictures"
    folder.mkdir()
    photo.rename(folder / "photo.png")
    hub = [*command("diffc-client"), "mirror", "--listen", 0, "--json", watched.work / "hub"]
    with watched.started(*hub, "--png", "--bytes", 300, "--log-level", "info") as listening:
        assert listening.stdout is not None
        port = json.loads(listening.stdout.readline())["port"]
        dial = [*command("diffc-server"), folder, "--no-listen", "--dial"]
        with watched.started(*dial, f"ws://127.0.0.1:{port}/cam"):
            assert listening.stderr is not None
            assert any("photo.png" in line for line in listening.stderr)
    check(watched, sender=f"127.0.0.1:{port}")


def test_packets(watched: Watched, photo: Path) -> None:
    diffc, there = command("diffc"), "udp://127.0.0.1:9"
    watched.run(*diffc, "encode", photo, "a.dfc", "--bytes", 300)
    watched.run(*diffc, "send-packets", "a.dfc", "outbox")
    watched.run(*diffc, "receive-packets", "outbox", "a.png", "--stream", "b.dfc")
    watched.run(*diffc, "receive-packets", "udp://127.0.0.1:0", "a.png", "--seconds", 0.1, code=3)
    relay = [*command("diffc-client"), "relay-packets"]
    for source in ("udp://127.0.0.1:0", "-", "outbox"):
        with watched.started(*relay, source, "--json") as process:
            assert process.stdout is not None
            assert "url" in json.loads(process.stdout.readline())
    check(watched)
    watched.run(*diffc, "send-packets", "a.dfc", there)
    check(watched, sender=there.removeprefix("udp://"))


@pytest.mark.parametrize("before", ["", "import onnxruntime\n"])
def test_the_library(before: str, watched: Watched) -> None:
    script = f"{before}from diffc_stream import default_model\ndefault_model()\n"
    if before:
        script = f"import os; os.environ['ORT_DISABLE_TELEMETRY'] = '1'\n{script}"
    watched.run(sys.executable, "-c", script)
    check(watched)


@pytest.mark.parametrize("said", ["", "0"])
def test_it_is_off_whatever_the_environment_says(said: str, watched: Watched) -> None:
    script = "from diffc_stream import default_model; default_model()"
    watched.run("env", f"ORT_DISABLE_TELEMETRY={said}", sys.executable, "-c", script)
    check(watched)


def test_what_is_looked_for_would_be_seen(watched: Watched) -> None:
    script = (
        "import os, pathlib, socket\n"
        "pathlib.Path.home().joinpath('a').touch()\n"
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))\n"
    )
    watched.run(sys.executable, "-c", script)
    assert watched.left() == {"home/a"}
    if watched.connected:  # where there is strace
        assert watched.connected == {"192.0.2.1:9"}
