"""``make view``: both daemons, and the photographs."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from diffc_stream import save_png
from examples import view

ROOT = Path(__file__).parent.parent


def test_the_photographs_are_copied_and_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "skimage"
    home = package / "data"
    home.mkdir(parents=True)
    (package / "__init__.py").touch()
    for name in ("coffee.png", "rocket.jpg", "camera.png"):
        (home / name).write_bytes(name.encode())
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "skimage", raising=False)
    with view.folder_of(None) as folder:
        # Those that are in colour and there.
        assert {path.name for path in folder.iterdir()} == {"coffee.png", "rocket.jpg"}
        assert (folder / "rocket.jpg").read_bytes() == b"rocket.jpg"
    assert not folder.exists()


def test_a_folder_of_ones_own_stays(tmp_path: Path) -> None:
    with view.folder_of(tmp_path) as folder:
        assert folder == tmp_path
    assert tmp_path.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_from_start_to_stop(number: signal.Signals, tmp_path: Path) -> None:
    save_png(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.view", str(tmp_path), "--rate", "500", "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line.startswith("watch at 500 bytes per second: http://127.0.0.1:")
        url = line.split(": ", 1)[1].split()[0]
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"{url}-/viewer.json", timeout=60) as answer:
            facts = json.load(answer)
        assert (facts["rate"], facts["compare"]) == (500.0, True)
        process.send_signal(number)
        assert process.wait(60) == 0
        assert process.stderr.read() == ""


def test_a_stop_while_it_starts_leaves_no_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[asyncio.subprocess.Process] = []
    create = asyncio.create_subprocess_exec

    async def noted(*command: str, stdout: int, cwd: Path) -> asyncio.subprocess.Process:
        made.append(await create(*command, stdout=stdout, cwd=cwd))
        signal.raise_signal(signal.SIGTERM)
        return made[0]

    # So that a signal that nobody minds fails this test alone.
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.fail("nobody minds"))
    try:
        monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
        assert view.main([str(tmp_path), "--no-browser"]) == 130
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [process.returncode is not None for process in made] == [True]


def test_a_folder_that_is_not_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert view.main([str(tmp_path / "gone"), "--no-browser"]) == 7
    told = capfd.readouterr().err
    assert "No such file" in told
    assert told.splitlines()[-1] == "view: a daemon did not start"
