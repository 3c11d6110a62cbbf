"""What tests leave behind is said of them, and not of others."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

CONFTEST = """
import leftovers

leftovers.PATIENCE = 0.1

def pytest_configure(config):
    config.pluginmanager.register(leftovers.Leftovers())
"""
CULPRITS = """
import asyncio, gc, os, signal, socket, subprocess, sys, tempfile, threading

import pytest

kept = []
gc.disable()  # as if nothing were collected by chance

def dropped(thing):
    circle = [thing]
    circle.append(circle)

def test_descriptor():
    kept.append(socket.create_server(("127.0.0.1", 0)))

def test_dropped_socket():
    dropped(socket.create_server(("127.0.0.1", 0)))

def test_dropped_file():
    dropped(open(__file__))

def test_dropped_loop():
    dropped(asyncio.new_event_loop())

def test_thread():
    stop = threading.Event()
    kept.append(stop)
    threading.Thread(target=stop.wait, name="left over", daemon=True).start()

def test_program():
    kept.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))

def test_temporary():
    tempfile.mkdtemp(prefix="left-over")

def test_variable():
    os.environ["LEFT_OVER"] = "1"

def test_directory(tmp_path):
    os.chdir(tmp_path)

def test_signal():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

def test_priority():
    os.nice(1)

def test_task():
    async def main():
        kept.append(asyncio.create_task(asyncio.Event().wait()))
        await asyncio.sleep(0)
    asyncio.run(main())

def test_error():
    async def failing():
        raise ValueError
    async def main():
        dropped(asyncio.create_task(failing()))
        await asyncio.sleep(0)
    asyncio.run(main())

def test_transport():
    async def main():
        loop = asyncio.get_running_loop()
        dropped(await loop.create_connection(asyncio.Protocol, sock=here))
    here, there = socket.socketpair()
    with there:
        asyncio.run(main())
"""
INNOCENT = """
import asyncio, socket, subprocess, sys, tempfile, threading

import pytest

@pytest.fixture(scope="module")
def server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server

@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as folder:
        yield folder

def test_uses_it(server, folder):
    with socket.create_connection(server.getsockname()):
        pass

def test_uses_it_too(server, monkeypatch):
    monkeypatch.setenv("NOT_LEFT_OVER", "1")

def test_waits():
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    subprocess.run([sys.executable, "-c", ""])
    asyncio.run(asyncio.sleep(0))

def test_has_nothing_to_do_with_it():
    pass

@pytest.mark.xfail
def test_fails():
    opened = open(__file__)
    assert not opened
"""
SAID = {
    "descriptor": "descriptor .*socket.*laddr=",
    "dropped_socket": "ResourceWarning: unclosed <socket",
    "dropped_file": "ResourceWarning: unclosed file",
    "dropped_loop": "ResourceWarning: unclosed event loop",
    "thread": "thread .*left over",
    "program": r"child .*input\(\)",
    "temporary": "temporary file left-over",
    "variable": "variable LEFT_OVER=1",
    "directory": "working directory: .*directory",
    "signal": "SIGTERM: .*SIG_IGN",
    "priority": r"scheduling: \(.*\), which was \(.*\)",
    "task": "a task, when its event loop was closed: .*wait",
    "error": "an error of asyncio: Task exception was never retrieved",
    "transport": "ResourceWarning: unclosed transport",
}


def test_whoever_leaves_something_is_named(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_culprits.py").write_text(CULPRITS)
    (tmp_path / "test_innocent.py").write_text(INNOCENT)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--basetemp=made"],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent / "support")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    parts = re.split(r"_+ ERROR at teardown of test_(\w+) _+\n", ran.stdout)
    said = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert set(said) == set(SAID), ran.stdout
    for name, pattern in SAID.items():
        assert re.search(f"the test left behind:\n(.*\n)*  {pattern}", said[name]), ran.stdout
    assert f"{len(SAID) + 4} passed, 1 xfailed, {len(SAID)} errors" in ran.stdout
