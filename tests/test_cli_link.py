"""The command that puts a thin link between two programs."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from diffc_stream.cli import main
from diffc_stream.transport import emulation
from diffc_stream.transport.impaired_link import Link
from diffc_stream.transport.impairment import Impairment


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Link]:
    """The links that would be carried over; they only say that they listen."""
    links: list[Link] = []

    def carry(link: Link, *, started: emulation.Tell, moved: emulation.Tell) -> None:
        links.append(link)
        link.port = 9000
        started(link)
        moved(link)

    monkeypatch.setattr(emulation, "carry_until_told", carry)
    return links


def ways(link: Link) -> tuple[Impairment, Impairment]:
    return link._down[0], link._up[0]


def test_a_thin_and_late_link(made: list[Link], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["link", "9000", "station:8765", "--rate", "2000", "--delay", "0.3"]) == 0
    down, up = ways(made[0])
    assert up == Impairment(rate=2000, delay=0.3)
    assert down == replace(up, stall=10.0)
    out, err = capsys.readouterr()
    where, how = "connect to 127.0.0.1:9000: it leads to station:8765", "600 ms there and back"
    assert out == f"{where}, 2,000 bytes/s, {how}\n"
    assert err == ""  # nothing moves where nobody looks on


def test_every_fault_is_on_the_way_back(made: list[Link]) -> None:
    faults = {
        "stall_after": 1,
        "stall": 2.5,
        "cut_after": 3,
        "reset_after": 4,
        "silent_after": 5,
        "flip_every": 6,
        "jitter": 0.25,
    }
    flags = [
        word
        for name, value in faults.items()
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    assert main(["link", "0", "8765", "--rate", "900", "--up-rate", "70", *flags]) == 0
    down, up = ways(made[0])
    assert down == Impairment(rate=900, **faults)  # type: ignore[arg-type]
    assert up == Impairment(rate=70, jitter=0.25)


def test_it_says_what_it_is_as_json(made: list[Link], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["link", "[::1]:0", "8765", "--json"]) == 0
    facts = {"listen": "[::1]:9000", "target": "127.0.0.1:8765"}
    assert json.loads(capsys.readouterr().out) == facts


def test_people_see_how_much_has_passed(
    made: list[Link], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["link", "0", "8765", "--up-rate", "50"]) == 0
    out, err = capsys.readouterr()
    assert "as fast as it goes from there and 50 bytes/s to there" in out
    assert err.endswith("0 open of 0 connections, 0 bytes from there, 0 to there\n")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["0.0.0.0:0", "8765"], "others can reach 0.0.0.0, and 127.0.0.1:8765 through it"),
        (["0", "nowhere.invalid:1"], "'nowhere.invalid' cannot be found"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(
    words: list[str], complaint: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert main(["link", *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"diffc: {complaint}")
    assert err.count("\n") == 1


def test_others_may_come_if_somebody_means_it(made: list[Link]) -> None:
    assert main(["link", "0.0.0.0:0", "8765", "--insecure"]) == 0


@pytest.mark.parametrize(
    "words",
    [
        *(["--rate", "0"], ["--rate", "-1"], ["--rate", "nan"], ["--rate", "2000000000"]),
        *(["--delay", "-0.1"], ["--delay", "61"], ["--delay", "nan"], ["--jitter", "inf"]),
        *(["--flip-every", "0"], ["--cut-after", "-1"], ["--seed", "-1"], ["--loss", "0.1"]),
    ],
)
def test_limits(words: list[str], made: list[Link], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["link", "0", "8765", *words])
    assert (caught.value.code, made) == (2, [])
    assert capsys.readouterr().err.splitlines()[-1].startswith("diffc")


def test_it_carries_until_ctrl_c() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-m", "diffc_stream", "link", "0"]
        target = str(server.getsockname()[1])
        with subprocess.Popen(
            [*command, target, "--rate", "100000", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            here = json.loads(process.stdout.readline())["listen"]
            host, _, port = here.rpartition(":")
            with socket.create_connection((host, int(port))) as near, server.accept()[0] as far:
                far.sendall(b"hello")
                assert near.recv(5, socket.MSG_WAITALL) == b"hello"
                process.send_signal(signal.SIGINT)
                assert near.recv(1) == b""
            assert (process.wait(30), process.stderr.read()) == (0, "")
