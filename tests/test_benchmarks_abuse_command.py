"""The benchmark of abuse as a whole: its command."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from abused import prey

from diffc_benchmarks import abuse, load
from diffc_benchmarks.abuse_adversary import MIRROR, SENDER
from diffc_benchmarks.abuse_attack import Attack, Prey
from diffc_benchmarks.abuse_wire import Front

__all__ = ["prey"]
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="reads Linux's /proc"
)


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
