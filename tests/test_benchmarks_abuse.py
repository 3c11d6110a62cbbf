"""The benchmark of abuse: its adversaries and honest ones, small, on daemons in here."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from authority import Issued, issue
from fakes import FINGERPRINT, FakeOpener
from serving import serving, settled

from diffc_benchmarks import abuse, abuse_honest, abuse_scene, load
from diffc_benchmarks.abuse_adversary import MIRROR, SENDER, Abuse, Orders
from diffc_benchmarks.abuse_attack import Attack, Prey
from diffc_benchmarks.abuse_files import MARK
from diffc_benchmarks.abuse_gauges import Gauge, Processor, Reading
from diffc_benchmarks.abuse_honest import Camera, Receiver, Waits, appear, spread
from diffc_benchmarks.abuse_push import misnamed
from diffc_benchmarks.abuse_tally import Pace, Tally
from diffc_benchmarks.abuse_wire import PING, Front, frame
from diffc_benchmarks.link_transfers import Streams, stream
from diffc_client import Listener, Mirror
from diffc_client.mirror.authentication import by_token
from diffc_server import Source
from diffc_server.auth.access_control import AccessControl
from diffc_stream.errors import LinkLost, RemoteProtocolError
from diffc_stream.session import Catalogue, decode
from diffc_stream.transport.tokens import Tokens, add_token

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="reads Linux's /proc"
)
ONE = "one.dfc"


@pytest.fixture
def issued(tmp_path: Path) -> Issued:
    return issue(tmp_path)


@pytest.fixture
def tokens(tmp_path: Path) -> dict[str, str]:
    names = dict.fromkeys(["honest", *SENDER, *MIRROR])
    return {name: add_token(tmp_path / "tokens.toml", name) for name in names}


@pytest.fixture
def prey(tmp_path: Path) -> Prey:
    folder, secret = tmp_path / "served", tmp_path / "secret"
    folder.mkdir()
    secret.mkdir()
    (folder / ONE).write_bytes(stream(2000, 0))
    (folder / "photo.png").write_bytes(b"photo")
    for name in ("key.dfc", "key.png"):
        (secret / name).write_bytes(stream(200, 0) + MARK)
    return Prey(
        model=FINGERPRINT,
        ready=(ONE,),
        large=ONE,
        photos=("photo.png",),
        folder=str(folder),
        secret=str(secret),
        own=("mine.dfc", "mine2.png"),
    )


class Either(FakeOpener):
    """Opens streams as they are, and whatever else as a picture."""

    def open(self, path: Path, model: str | None = None, prefix: bytes = b"") -> Source:
        if path.suffix == ".dfc":
            return Streams().open(path, model, prefix)
        return super().open(path, model, prefix)


@asynccontextmanager
async def sender(tmp_path: Path, issued: Issued, tokens: dict[str, str]) -> AsyncIterator[Front]:
    """Run a sender that is in here, and yield what is known of it outside."""
    reception = AccessControl(
        tokens=Tokens(tmp_path / "tokens.toml"),
        secure=True,
        clock=asyncio.get_running_loop().time,
    )
    folder = tmp_path / "served"
    async with serving(
        folder, Either(), reception=reception, certificate=issued.certificate
    ) as daemon:
        yield Front(port=daemon.port, ca=str(issued.ca), tokens=tokens)


@asynccontextmanager
async def mirror(tmp_path: Path, issued: Issued, tokens: dict[str, str]) -> AsyncIterator[Front]:
    """The same for a mirror."""
    async with Listener(
        tmp_path / "kept",
        make=lambda _, folder: Mirror(folder, delete=True, most_bytes=2**20),
        authenticate=by_token(Tokens(tmp_path / "tokens.toml")),
        tls=issued.certificate.context,
    ) as listener:
        yield Front(port=listener.port, ca=str(issued.ca), tokens=tokens, pushed=True)


async def ticks() -> None:
    """Let the event loop do what it has to do, and what follows from that."""
    for _ in range(100):
        await asyncio.sleep(0)


async def tried(kind: str, known: Mapping[str, Abuse], front: Front, prey: Prey) -> Tally:
    """Abuse until it has been tried, and what is done to it has come to something."""
    attack = Attack(front=front, prey=prey, who=kind, share=0.01)
    run = known[kind]
    task = asyncio.create_task(run(attack))
    await settled(lambda: task.done() or bool(attack.tally.tried and attack.tally.most_held))
    await asyncio.wait([task], timeout=0.2)
    assert not task.done() or task.exception() is None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await ticks()  # for what was dropped to be closed
    return attack.tally


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", SENDER)
async def test_a_kind_of_abuse_of_a_sender(
    kind: str, tmp_path: Path, issued: Issued, tokens: dict[str, str], prey: Prey
) -> None:
    async with sender(tmp_path, issued, tokens) as front:
        tally = await tried(kind, SENDER, front, prey)
        assert tally.stolen == 0
        assert await Receiver(front, tmp_path / "served", [ONE]).once() == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", MIRROR)
async def test_a_kind_of_abuse_of_a_mirror(
    kind: str, tmp_path: Path, issued: Issued, tokens: dict[str, str], prey: Prey
) -> None:
    async with mirror(tmp_path, issued, tokens) as front:
        await tried(kind, MIRROR, front, prey)


@pytest.mark.asyncio
async def test_an_answer_with_a_secret_is_found(
    tmp_path: Path, issued: Issued, tokens: dict[str, str], prey: Prey
) -> None:
    """As from a sender that gives everything away: the secrets are in its own folder."""
    for name in ("swapped.dfc", "swapped.png"):
        (tmp_path / "served" / name).write_bytes(b"x")
    async with sender(tmp_path, issued, tokens) as front:
        attack = Attack(front=front, prey=prey, who="links", share=0.01)
        running = asyncio.create_task(SENDER["links"](attack))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("diffc_benchmarks.abuse_files.MARK", b"")  # is in whatever comes
            await settled(lambda: attack.tally.stolen > 0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.asyncio
async def test_an_honest_receiver(
    tmp_path: Path, issued: Issued, tokens: dict[str, str], prey: Prey
) -> None:
    folder = tmp_path / "served"
    async with sender(tmp_path, issued, tokens) as front:
        receiver = Receiver(front, folder, [ONE])
        receiver.waits.phase = "alone"
        running = asyncio.create_task(receiver.run())
        await settled(lambda: len(receiver.waits.facts("alone")) >= 5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await ticks()
    assert not receiver.waits.failures["alone"]
    assert receiver.wrong == 0
    assert sorted(path.name for path in folder.iterdir()) == [ONE, "photo.png"]


@pytest.mark.asyncio
async def test_a_receiver_that_is_not_served_goes_on(issued: Issued, tmp_path: Path) -> None:
    receiver = Receiver(
        Front(port=9, ca=str(issued.ca), tokens={"honest": "x"}), tmp_path, ["gone.dfc"]
    )
    (tmp_path / "gone.dfc").write_bytes(b"x")
    receiver.waits.phase = "abused"
    running = asyncio.create_task(receiver.run())
    await settled(lambda: len(receiver.waits.failures["abused"]) >= 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    first = receiver.waits.failures["abused"][0]
    assert re.match(r"a ready stream, after \d+\.\d s: ", first)


@pytest.mark.asyncio
async def test_a_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abuse_honest, "EVERY", 0.0)
    monkeypatch.setattr(abuse_honest, "LOOK", 0.0)
    source, kept = tmp_path / "camera", tmp_path / "kept"
    source.mkdir()
    kept.mkdir()
    camera = Camera(source, kept)
    running = asyncio.create_task(camera.run())
    async with asyncio.timeout(60):
        while not (source / "camera0.png").exists():  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert not camera.waits.facts("")
        for name in ("camera0.png.dfc", "camera0.png.png"):
            (kept / name).write_bytes(b"x")
        while "a picture's rendering in the mirror" not in camera.waits.facts(""):  # noqa: ASYNC110
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not camera.waits.failures[""]


def test_the_spread_of_waits() -> None:
    assert spread([float(n) for n in range(1, 201)]) == {
        "count": 200,
        "median": 101.0,
        "99 %": 198.0,
        "worst": 200.0,
    }
    assert spread([0.5]) == {"count": 1, "median": 0.5, "99 %": 0.5, "worst": 0.5}
    assert Waits().worst("abused") == 0.0


@pytest.mark.asyncio
@pytest.mark.virtual_time
async def test_a_pace_is_kept() -> None:
    clock = asyncio.get_running_loop().time
    pace, began = Pace(10), clock()
    for _ in range(20):
        await pace.turn()
    assert 1.8 <= clock() - began <= 2.0
    # What was not used is lost, so that nobody comes all at once.
    await asyncio.sleep(60)
    began = clock()
    for _ in range(20):
        await pace.turn()
    assert 1.8 <= clock() - began <= 2.0


@pytest.mark.asyncio
async def test_what_ends_an_adversary_is_counted() -> None:
    tally = Tally()
    for error in (LinkLost("no"), ConnectionResetError("gone"), LinkLost("no"), ssl.SSLError("x")):
        async with tally.holding():
            raise error
    facts = tally.facts()
    assert facts["ended"] == 4
    assert facts["said"] == {"no": 2, "gone": 1, "('x',)": 1}
    with pytest.raises(ZeroDivisionError):
        async with tally.holding():
            raise ZeroDivisionError
    json.dumps(facts)


def test_frames_are_masked_by_nothing() -> None:
    assert frame(b"ab") == b"\x82\x82\0\0\0\0ab"
    assert frame(b"x" * 125, PING)[:2] == b"\x89\xfd"
    assert frame(b"x" * 300)[:4] == b"\x82\xfe\x01\x2c"
    assert frame(b"", 0, fin=False)[:2] == b"\x00\x80"


@pytest.mark.parametrize("name", [b"../../up", b"\xff.png", "é.png".encode(), b"a" * 255])
def test_names_that_need_not_be_any(name: bytes) -> None:
    data = misnamed(name)
    assert name in data
    with suppress(RemoteProtocolError):
        decode(data[6:])


def test_a_name_of_no_length_is_another() -> None:
    assert isinstance(decode(misnamed(b"")[6:]), Catalogue)


def test_orders_are_a_line(prey: Prey) -> None:
    orders = Orders(
        target="sender",
        kinds=("idle", "links"),
        front=Front(port=1, ca="ca.pem", tokens={"idle": "x"}),
        prey=prey,
        seconds=3.0,
    )
    line = orders.json()
    assert "\n" not in line
    assert Orders.read(line) == orders


def test_a_gauge_of_this_process(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\n")
    gauge = Gauge(os.getpid(), log)
    gauge.begin()
    assert gauge.before.log_lines == 1
    with log.open("a") as file:
        file.write("two\nthree\n")
        gauge.look()
    assert gauge.last.memory > 2**20
    assert gauge.last.alive
    facts = gauge.facts()
    assert facts["log lines"] == {"before": 1, "peak": 1, "afterwards": 1}
    gauge.look()
    assert gauge.peak.log_lines == 3
    assert gauge.peak.descriptors > gauge.last.descriptors


def test_a_gauge_of_a_process_that_has_ended(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert Gauge(done.pid, tmp_path / "log").look() == Reading()
    assert not Reading().alive


def test_processors_are_shared() -> None:
    before = Processor.look({"this": os.getpid()})
    sum(range(10**6))
    shares = Processor.look({"this": os.getpid()}).since(before)
    assert shares.keys() == {"this", "everybody else"}
    assert all(share >= 0 for share in shares.values())


def no_certificate(home: Path) -> None:
    (home / "cert.pem").touch()


def test_a_scene_knows_what_was_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abuse_scene, "_certify", no_certificate)
    scene = abuse_scene.Scene.make(tmp_path, ready=3, photos=1, large=10)
    assert scene.touched() == []
    assert [(scene.served / name).stat().st_size for name in scene.ready] == [2000] * 3
    (scene.mirrored / "names" / "mine.dfc").write_bytes(b"another's")
    (scene.mirrored / "names" / "mine2.png").unlink()
    (tmp_path / "far" / "new.dfc").touch()
    (tmp_path / "up").touch()
    assert sorted(scene.touched()) == [
        *("far/new.dfc", "mirrored/names/mine.dfc", "mirrored/names/mine2.png", "up"),
    ]
    assert Tokens(tmp_path / "tokens.toml")
    grown = scene.grown()
    (scene.mirrored / "names" / "a" / "b").mkdir(parents=True)
    assert scene.grown()["folders"] == grown["folders"] + 2


def test_pictures_that_appear(tmp_path: Path) -> None:
    for seed in (1, 1, 2):
        appear(tmp_path / f"{seed}.png", seed)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.png", "2.png"]
    assert (tmp_path / "1.png").read_bytes() != (tmp_path / "2.png").read_bytes()


def test_adversaries_end_with_who_started_them(prey: Prey, issued: Issued) -> None:
    orders = Orders(
        target="sender",
        kinds=("idle",),
        front=Front(port=9, ca=str(issued.ca), tokens={"idle": "x"}),
        prey=prey,
        seconds=600.0,
    )
    done = subprocess.run(
        [sys.executable, "-m", "diffc_benchmarks.abuse_adversary"],
        input=f"{orders.json()}\n",  # and nothing more: it is closed
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout).keys() == {"idle"}


def test_all_of_it_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    said: list[str] = []
    plan = abuse.Plan(seconds=1.0, alone=0.1, settling=0.1, share=0.02)
    facts = asyncio.run(abuse.measure(plan, said.append, ready=10, photos=1, large=1000))
    assert facts.keys() == {
        *("honest receiver", "camera", "sender", "mirror", "files", "machine"),
        *("adversaries of the sender", "adversaries of the mirror"),
    }
    for name in ("sender", "mirror"):
        gauges = facts[name]
        assert isinstance(gauges, Mapping)
        assert gauges["alive in the end"] is True
        assert gauges["memory"]["peak"] >= gauges["memory"]["before"] > 0
        kinds = facts[f"adversaries of the {name}"]
        assert isinstance(kinds, Mapping)
        assert kinds.keys() == (SENDER if name == "sender" else MIRROR).keys()
    json.dumps(facts)
    assert any(line.startswith("alone: ") for line in said)
    assert list(tmp_path.iterdir()) == []
    assert load.table(facts).row_count > 50


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_nothing_is_left(tmp_path: Path, signum: signal.Signals) -> None:
    command = [sys.executable, "-m", "diffc_benchmarks.abuse", "--minutes", "9", "--kinds", "idle"]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(tmp_path)}
    ) as running:
        try:
            assert running.stderr is not None
            assert next(line for line in running.stderr if line.startswith("starting a sender"))
            running.send_signal(signum)
            assert running.stderr.read() == "benchmarks.abuse: interrupted\n"
            assert running.wait(60) == 130
        finally:
            running.kill()
    assert not list(tmp_path.glob("diffc-abuse-*"))


async def measured(plan: abuse.Plan, report: abuse.Report) -> load.Facts:
    report("abusing")
    return {"machine": {"seconds": plan.seconds, "kinds": list(plan.kinds)}}


def test_one_object_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(abuse, "measure", measured)
    monkeypatch.setattr(
        sys, "argv", ["abuse", "--json", "--minutes", "0.5", "--kinds", "idle, work"]
    )
    abuse.main()
    said = capsys.readouterr()
    assert json.loads(said.out) == {"machine": {"seconds": 30.0, "kinds": ["idle", "work"]}}
    assert said.err == "abusing\n"


def test_an_unknown_kind_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["abuse", "--kinds", "idle,cakes"])
    with pytest.raises(SystemExit):
        abuse.main()
    assert "there is no kind 'cakes', only idle, handshakes, " in capsys.readouterr().err


def test_every_kind_says_how_much_it_does() -> None:
    for known in (SENDER, MIRROR):
        for name, kind in known.items():
            assert any(letter.isdigit() for letter in kind.__doc__ or "") or "wice" in (
                kind.__doc__ or ""
            ), name


def test_shares_of_the_usual(prey: Prey) -> None:
    attack = Attack(front=Front(port=1, ca="x"), prey=prey, who="idle", share=0.1)
    assert (attack.some(300), attack.some(4)) == (30, 1)
    assert replace(attack, share=1.0).some(4) == 4
