"""The benchmark of abuse: what it runs on, and its gauges."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from diffc_benchmarks import abuse_scene
from diffc_benchmarks.abuse_gauges import Gauge, Processor, Reading
from diffc_benchmarks.abuse_honest import appear
from diffc_stream.transport.tokens import Tokens

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="reads Linux's /proc"
)


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
    monkeypatch.setattr(abuse_scene, "certify", no_certificate)
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
