"""systemd's notification protocol, with a socket in systemd's place."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from diffc_stream.transport.systemd import Supervisor

abstract = pytest.param(
    True, marks=pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
)


@pytest.fixture(params=[False, abstract], ids=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A datagram socket, and how its address is said in an environment."""
    name = f"@diffc {secrets.token_hex(8)}" if request.param else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name[1:] if request.param else name)
        listening.settimeout(60)
        yield listening, name


def test_what_is_told(systemd: tuple[socket.socket, str]) -> None:
    listening, name = systemd
    with closing(Supervisor({"NOTIFY_SOCKET": name})) as supervisor:
        supervisor.ready("serving on ws://127.0.0.1:1")
        supervisor.stopping()
    assert listening.recv(1000) == b"READY=1\nSTATUS=serving on ws://127.0.0.1:1"
    assert listening.recv(1000) == b"STOPPING=1\nSTATUS=draining"


@pytest.mark.asyncio
async def test_signs_of_life(systemd: tuple[socket.socket, str]) -> None:
    listening, name = systemd
    environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "4000", "WATCHDOG_PID": str(os.getpid())}
    with closing(Supervisor(environment)) as supervisor:
        watching = asyncio.create_task(supervisor.watch())
        for _ in range(3):
            assert await asyncio.to_thread(listening.recv, 1000) == b"WATCHDOG=1"
        watching.cancel()


def test_signs_of_life_need_no_descriptor(
    systemd: tuple[socket.socket, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listening, name = systemd

    def refuse(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    with closing(Supervisor({"NOTIFY_SOCKET": name})) as supervisor:
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", refuse)
            supervisor.ready("serving")
        assert listening.recv(1000) == b"READY=1\nSTATUS=serving"


@pytest.mark.virtual_time
@pytest.mark.asyncio
@pytest.mark.parametrize(("microseconds", "breath"), [("30000000", 15.0), ("1", 0.0005)])
async def test_they_come_twice_as_often_as_they_would_be_missed(
    microseconds: str, breath: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []
    clock = asyncio.get_running_loop().time
    supervisor = Supervisor({"WATCHDOG_USEC": microseconds})
    monkeypatch.setattr(supervisor, "_tell", lambda *_: told.append(clock()))
    watching = asyncio.create_task(supervisor.watch())
    await asyncio.sleep(2.5 * breath)
    watching.cancel()
    assert [when - told[0] for when in told] == pytest.approx([0, breath, 2 * breath])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}],
    ids=["nobody", "nonsense", "another process"],
)
async def test_nobody_watches(environment: dict[str, str]) -> None:
    supervisor = Supervisor(environment)
    await supervisor.watch()
    supervisor.ready("nobody hears")


@pytest.mark.parametrize(
    "address", ["/nowhere/notify", "@nobody is here", "vsock:2:1", "/" + 200 * "x"]
)
def test_who_does_not_listen_is_no_reason_not_to_serve(address: str) -> None:
    with closing(Supervisor({"NOTIFY_SOCKET": address})) as supervisor:
        supervisor.ready("serving")
