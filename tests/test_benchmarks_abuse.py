"""The benchmark of abuse: its adversaries and honest ones, small, on daemons in here."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from abused import ONE, issued, known, mirror, prey, sender, ticks, tokens, tried
from authority import Issued
from serving import settled

from diffc_benchmarks import abuse_honest
from diffc_benchmarks.abuse_adversary import MIRROR, SENDER, Orders
from diffc_benchmarks.abuse_attack import Attack, Prey
from diffc_benchmarks.abuse_honest import Camera, Receiver, Waits, spread
from diffc_benchmarks.abuse_push import misnamed
from diffc_benchmarks.abuse_tally import Pace, Tally
from diffc_benchmarks.abuse_wire import PING, Front, frame
from diffc_stream.errors import LinkLost, RemoteProtocolError
from diffc_stream.session import Catalogue, decode

__all__ = ["issued", "known", "prey", "tokens"]
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="reads Linux's /proc"
)


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
