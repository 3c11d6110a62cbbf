"""The command ``diffc-server``, in a process of its own."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
import sources

import diffc_client
from diffc_server.__main__ import main
from diffc_stream import save_png
from diffc_stream.diffusion.collection import DEFAULT
from diffc_stream.errors import LinkLost
from diffc_viewer import Assets


@contextmanager
def server(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "diffc_server", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_from_start_to_stop(tmp_path: Path) -> None:
    folder, store = tmp_path / "served", tmp_path / "store"
    folder.mkdir()
    save_png(folder / "a.png", sources.picture())
    arguments = (str(folder), "--port", "0", "--model", str(DEFAULT), "--store", str(store))
    with server(*arguments, "--json", "--follow-camera", "--key-every", "60") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        started = json.loads(process.stdout.readline())
        assert DEFAULT.stem.endswith(started["model"])
        url = started["url"] + "/a.png"
        *_, last = diffc_client.stream(url, bytes=1000)
        assert (last.bytes, last.complete) == (1000, True)
        # Stopped while somebody is still receiving, who is told.
        loop = diffc_client.stream(url, patience=0.0)
        assert not next(loop).complete
        process.send_signal(signal.SIGTERM)
        with pytest.raises(LinkLost):
            list(loop)
        assert process.wait(60) == 0
        assert process.stdout.read() == ""
        assert "Traceback" not in process.stderr.read()
    assert list(store.glob("*.stream"))


@pytest.mark.parametrize("viewer", [True, False])
def test_the_viewer_can_be_done_without(viewer: bool, tmp_path: Path) -> None:
    flags = ["--compare", "--name", "pictures.example"] if viewer else ["--no-viewer"]
    with server(str(tmp_path), "--port", "0", "--json", *flags) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        port = int(told["url"].rpartition(":")[2])
        shown = viewer and Assets().complete
        assert told["page"] == (f"http://127.0.0.1:{port}/" if shown else None)
        for host, page, status in [
            ("pictures.example", "pictures.example", 200 if viewer else 421),
            ("localhost", "localhost", 200 if viewer else 403),
            ("localhost", "pictures.example", 403),
            ("other.example", "other.example", 421),
        ]:
            fields = {"Host": host, "Origin": f"http://{page}"}
            connection = HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", "/-/viewer.json", headers=fields)
            answer = connection.getresponse()
            assert answer.status == status
            assert status != 200 or json.load(answer)["compare"] is True
            connection.close()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no such signal here")
def test_to_look_again_is_not_the_end_of_who_dials(tmp_path: Path) -> None:
    with socket.socket() as nobody, contextlib.ExitStack() as ends:
        nobody.bind(("127.0.0.1", 0))  # and listens not
        url = f"ws://127.0.0.1:{nobody.getsockname()[1]}/camera"
        process = ends.enter_context(server(str(tmp_path), "--no-listen", "--dial", url))
        assert process.stderr is not None
        while "cannot be reached" not in (line := process.stderr.readline()):
            assert line
        process.send_signal(signal.SIGHUP)
        process.terminate()
        assert process.wait(60) == 0


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with server(str(tmp_path), "--port", "0", "--json") as first:
        assert first.stdout is not None
        port = json.loads(first.stdout.readline())["url"].rpartition(":")[2]
        with server(str(tmp_path), "--port", port) as second:
            assert second.wait(60) == 1
            assert second.stderr is not None
            [line] = second.stderr.read().splitlines()
    assert line.startswith("diffc-server: ")
    assert "address already in use" in line


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("nowhere",), 1, "No such file"),
        ((__file__,), 1, "is not a folder"),
        ((".", "--model", "nowhere.safetensors"), 6, "nowhere.safetensors"),
        ((".", "--store", __file__), 1, "File exists"),
        ((".", "--store", "nonsense://bucket"), 2, "not a valid place for a store"),
    ],
)
def test_what_it_cannot_start_with(
    arguments: tuple[str, ...], code: int, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--port", "0"]) == code
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("diffc-server: ")
    assert complaint in line


@pytest.mark.parametrize(
    "arguments",
    [
        *([], [".", "--port", "99999"], [".", "--encoders", "0"], [".", "--window", "1"]),
        *([".", "--queue", "-1"], [".", "--store-size", "0"], [".", "--store-size", "2X"]),
        *([".", "--name", "a/b"], [".", "--name", "http://a"], [".", "--name", ""]),
        [".", "--key-every", "0"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: diffc-server" in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert "examples:\n  diffc-server photos/" in text
    assert "exit codes:" in text
