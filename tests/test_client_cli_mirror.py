"""``diffc-client mirror`` and ``diffc-server --dial``, in processes of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from authority import issue
from broker import broker
from sources import long_stream, stream

from diffc_client.__main__ import main
from diffc_server.__main__ import main as serve
from diffc_stream.transport.tokens import add_token

PATIENCE = 300.0
"""Seconds after which a daemon hangs: on a busy machine its imports alone may take a minute."""
STREAMS = {"a.dfc": stream(), "sub/b.dfc": long_stream()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    home = tmp_path / "served"
    (home / "sub").mkdir(parents=True)
    for name, data in STREAMS.items():
        (home / name).write_bytes(data)
    return home


@contextmanager
def daemon(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a daemon; at the end it is told to stop, and does."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        # Whoever waits for what it says is told by its end that it says nothing.
        given_up = threading.Timer(PATIENCE, process.kill)
        given_up.start()
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
            assert process.stderr is not None
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()
            given_up.cancel()
            given_up.join()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def wait_for(mirror: subprocess.Popen[str], *kept: Any) -> None:
    """Read what a mirror says until each folder has its streams."""
    assert mirror.stderr is not None
    told, pairs = "", list(zip(kept[::2], kept[1::2], strict=True))
    missing = {
        f"{home}: {name}, {len(data)} bytes: "
        for home, names in pairs
        for name, data in names.items()
    }
    while missing:
        told += (said := mirror.stderr.readline())
        assert said, told
        missing = {words for words in missing if words not in said}
    assert "Traceback" not in told
    for home, names in pairs:
        for name, data in names.items():
            assert (home / name).read_bytes() == data


def test_until_it_is_told_to_stop(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with daemon("diffc_server", str(folder), "--port", "0", "--json") as sender:
        url = json.loads(line(sender))["url"]
        with daemon("diffc_client", "mirror", url, str(kept), "--bytes", "1000") as mirror:
            wait_for(mirror, kept, {name: data[:1000] for name, data in STREAMS.items()})
        with daemon("diffc_client", "mirror", url, str(kept)) as mirror:
            wait_for(mirror, kept, STREAMS)


@pytest.mark.parametrize("name", [["run"], ["mirror", "--by-sender"]])
def test_each_sender_has_its_own_folder(name: list[str], folder: Path, tmp_path: Path) -> None:
    """By either name; run names its models to senders, and has none of these streams'."""
    kept = tmp_path / "kept"
    with (
        daemon("diffc_server", str(folder), "--port", "0", "--json") as one,
        daemon("diffc_server", str(folder), "--port", "0", "--json") as two,
    ):
        ports = [json.loads(line(sender))["url"].rpartition(":")[2] for sender in (one, two)]
        one_url = f"ws://127.0.0.1:{ports[0]}"
        if name == ["run"]:
            one_url = f"http://127.0.0.1:{ports[0]}/a.dfc"
        urls = (one_url, f"http://127.0.0.1:{ports[1]}/sub/b.dfc")
        homes = [kept / f"127.0.0.1_{port}" for port in ports]
        with daemon("diffc_client", *name, *urls, str(kept)) as mirror:
            assert mirror.stderr is not None
            here = STREAMS
            if name == ["run"]:
                assert "run is mirror --by-sender --png" in mirror.stderr.readline()
                here = {"a.dfc": STREAMS["a.dfc"]}
            wait_for(mirror, homes[0], here, homes[1], {"sub/b.dfc": STREAMS["sub/b.dfc"]})


def test_a_sender_that_dials(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with daemon("diffc_client", "mirror", "--listen", "0", "--json", str(kept)) as hub:
        port = json.loads(line(hub))["port"]
        dial = ("--dial", f"ws://127.0.0.1:{port}/camera")
        with daemon("diffc_server", str(folder), *dial, "--no-listen"):
            wait_for(hub, kept / "camera", STREAMS)


def test_by_way_of_a_broker(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with broker(tmp_path) as port:
        url = f"mqtt://127.0.0.1:{port}/cameras/gate"
        publish = ("--mqtt", url, "--no-listen", "--mqtt-message", "1000")
        with (
            daemon("diffc_server", str(folder), *publish),
            daemon("diffc_client", "mirror", url, str(kept)) as mirror,
        ):
            wait_for(mirror, kept, STREAMS)


def test_a_sender_that_shows_a_token_over_tls(folder: Path, tmp_path: Path) -> None:
    kept, issued, tokens = tmp_path / "kept", issue(tmp_path), tmp_path / "tokens.toml"
    shown = tmp_path / "token"
    shown.write_text(add_token(tokens, "camera"))
    safe = ("--tls-cert", str(issued.chain), "--tokens", str(tokens))
    with daemon("diffc_client", "mirror", "--listen", "0", "--json", *safe, str(kept)) as hub:
        port = json.loads(line(hub))["port"]
        dial = ("--dial", f"wss://127.0.0.1:{port}/another", "--dial-ca", str(issued.ca))
        with daemon(
            "diffc_server", str(folder), *dial, "--no-listen", "--dial-token", str(shown)
        ) as sender:
            wait_for(hub, kept / "camera", STREAMS)
        assert [path.name for path in kept.iterdir()] == ["camera"]
        assert sender.args is not None
        assert shown.read_text() not in str(sender.args)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["DIR"], "name the sender"),
        (["ws://h", "DIR", "--tokens", "t.toml"], "are for --listen"),
        (["ws://h", "DIR", "--token-file", "/nowhere"], "cannot be read"),
        (["ws://h", "DIR", "--listen", "0"], "name the sender"),
        (["http://h", "DIR"], "names no picture"),
        (["ws://h", "ws://i", "DIR"], "2 senders cannot share one folder: with --by-sender"),
        (["ws://h", "http://h/a.dfc", "DIR"], "2 senders"),
        (["ws://h:80", "http://h/a.dfc", "DIR", "--by-sender"], "both have the folder"),
        (["h:8765", "DIR"], "is not an address"),
        (["DIR", "--listen", "0.0.0.0:0"], "--insecure"),
        (["DIR", "--listen", "[::]:0"], "--insecure"),
        (["DIR", "--listen", "hub.example:0"], "--insecure"),
    ],
)
def test_what_it_does_not_begin_with(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told = [str(tmp_path / "kept") if argument == "DIR" else argument for argument in arguments]
    assert main(["mirror", *told]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        *(["DIR", "--listen", "x"], ["DIR", "--listen", "1:2:x"], ["DIR", "--listen", "65536"]),
        *(["ws://h", "DIR", "--most", "0"], ["ws://h", "DIR", "--psnr", "nan"], []),
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["mirror", *arguments])
    assert caught.value.code == 2
    assert "usage: diffc-client mirror" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--dial", "hub:8766"], ["--dial", "http://hub/x"], ["--dial", "ws://"]),
        *(["--dial", "ws://u@hub/x"], ["--dial", "ws://hub/x?y"], ["--dial", "ws://hub:0/x"]),
        ["--dial", "ws://hub:99999/x"],
    ],
)
def test_whom_a_sender_does_not_dial(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        serve([str(tmp_path), *arguments])
    assert caught.value.code == 2
    assert "usage: diffc-server" in capsys.readouterr().err


def test_a_sender_that_has_nobody_to_talk_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert serve([str(tmp_path), "--no-listen"]) == 2
    assert "--no-listen needs --dial URL" in capsys.readouterr().err


def test_what_it_is_told_by_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = tmp_path / "station.toml"
    told.write_text('[mirror]\nfolder = "pictures"\nlisten = "8766"\npsnr = 30\n')
    assert main(["mirror", "--config", str(told), "--print-config"]) == 0
    shown = capsys.readouterr().out
    assert 'folder = "pictures"' in shown
    assert "psnr = 30" in shown
    told.write_text('[mirror]\nurl = "http://h"\nfolder = "pictures"\n')
    assert main(["mirror", "--config", str(told)]) == 2
    assert "names no picture" in capsys.readouterr().err
    told.write_text('[mirror]\nurl = ["ws://h", "ws://i/a.png"]\nfolder = "pictures"\n')
    assert main(["mirror", "--config", str(told)]) == 2
    assert "2 senders" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kept").write_bytes(b"in the way")
    assert main(["mirror", "ws://127.0.0.1:9", str(tmp_path / "kept")]) == 1
    assert "kept" in capsys.readouterr().err


def test_a_port_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with daemon("diffc_client", "mirror", "--listen", "0", "--json", str(tmp_path)) as hub:
        port = json.loads(line(hub))["port"]
        assert main(["mirror", "--listen", str(port), str(tmp_path)]) == 1
    assert "address already in use" in capsys.readouterr().err
