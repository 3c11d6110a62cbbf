"""The command ``diffc-client``, with a codec that needs no weights."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fakes import FakeDecoders, FakeOpener, StreamOpener, stream_of
from PIL import Image
from serving import Background, pictures
from sources import SOURCE, stream

from diffc_client import ModelDecoders
from diffc_client.__main__ import main
from diffc_server import Catalogue
from diffc_stream.codec import Curve
from diffc_stream.picture import load_picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pictures(tmp_path)


@pytest.fixture(autouse=True)
def _fake_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelDecoders, "load", lambda *_, **__: FakeDecoders())


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of the test's own: ports come again."""
    monkeypatch.setenv("DIFFC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def get(url: str, out: Path, *more: str) -> int:
    return main(["get", url, "-o", str(out), "--patience", "0.01", *more])


def test_get(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.png"
    with Background(folder) as url:
        assert get(f"{url}/a.png", out, "--bytes", "1200") == 0
    shown = capsys.readouterr()
    assert shown.out == f"{out}: 1,200 bytes, 8 bpp, about 21.2 dB\n"
    assert load_picture(out)[0, 0, 0] == 1200 % 256
    with Image.open(out) as image:
        assert image.info["bytes"] == "1200"


def test_get_json(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.png"
    with Background(folder) as url:
        assert get(f"{url}/sub/c.jpg", out, "--bpp", "2", "--render", "flow", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts.pop("seconds") > 0
    assert facts == {
        "out": str(out),
        "image": "sub/c.jpg",
        "bytes": 300,
        "bpp": 2.0,
        "predicted_psnr": 20.3,
        "predicted_psnr_range": None,
        "render": "flow",
        "width": 40,
        "height": 30,
        "regions": [],
    }
    with Image.open(out) as image:
        assert image.info["render"] == "flow"


def test_what_is_foretold_is_not_of_what_is_synthesised(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.png"
    with Background(folder) as url:
        assert get(f"{url}/a.png", out, "--bytes", "1200", "--render", "flow") == 0
    assert capsys.readouterr().out.endswith("about 21.2 dB as mmse\n")


def test_get_over_plain_http(folder: Path, tmp_path: Path) -> None:
    out, kept = tmp_path / "out.png", tmp_path / "kept.dfc"
    with Background(folder) as address:
        url = f"{address.replace('ws:', 'http:')}/a.png.dfc"
        assert get(url, out, "--bytes", "700", "--keep-stream", str(kept)) == 0
        assert get(url, out, "--bytes", "1200", "--keep-stream", str(kept)) == 0
    assert kept.read_bytes() == stream_of("a.png", 1200)
    assert load_picture(out)[0, 0, 0] == 1200 % 256


def test_get_with_the_dial(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    with Background(folder) as url:
        assert get(f"{url}/sub/c.jpg", out, "--bpp", "2", "--realism", "0.5") == 0
    with Image.open(out) as image:
        assert image.info["render"] == "0.5"


def test_get_goes_on_with_a_kept_stream(folder: Path, tmp_path: Path) -> None:
    out, kept = tmp_path / "out.png", tmp_path / "kept.dfc"
    opener = FakeOpener()
    with Background(folder, opener) as url:
        assert get(f"{url}/a.png", out, "--bytes", "700", "--keep-stream", str(kept)) == 0
        assert kept.read_bytes() == stream_of("a.png", 700)
        assert get(f"{url}/a.png", out, "--keep-stream", str(kept)) == 0
        assert kept.read_bytes() == stream_of("a.png", 5000)
        # A file of somebody else's is left alone.
        kept.write_bytes(stream_of("b.png", 700))
        assert get(f"{url}/a.png", out, "--keep-stream", str(kept)) == 7
        assert kept.read_bytes() == stream_of("b.png", 700)


@pytest.mark.parametrize(
    ("more", "length"),
    [
        (("--side", "32"), "opening"),
        (("--psnr", "22.5"), "quality"),
        (("--side", "64", "--psnr", "90", "--bytes", "300"), "bytes"),
    ],
)
def test_get_as_much_as_is_of_use(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    length: str,
) -> None:
    curve, models = Curve(), (SOURCE.fingerprint,)
    curve.feed(stream())
    ends = {
        "opening": curve.opening(32),
        "quality": next(o for o, q in zip(curve.offsets, curve.psnr(), strict=True) if q >= 22.5),
        "bytes": 300,
    }
    monkeypatch.setattr(ModelDecoders, "load", lambda *_, **__: FakeDecoders(models))
    opener = StreamOpener({"a.png": stream()}, fingerprints=models)
    with Background(folder, opener) as url:
        assert get(f"{url}/a.png", tmp_path / "out.png", "--json", *more) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == ends[length]


def test_get_remembers_what_came(folder: Path, tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "out.png"
    with Background(folder) as url:
        assert get(f"{url}/a.png", out, "--bytes", "700") == 0
        [kept] = cache.iterdir()
        assert kept.read_bytes() == stream_of("a.png", 700)
        assert get(f"{url}/a.png", out, "--bytes", "1500") == 0
        assert kept.read_bytes() == stream_of("a.png", 1500)
    assert load_picture(out)[0, 0, 0] == 1500 % 256


def test_get_without_the_cache(folder: Path, tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "out.png"
    with Background(folder) as url:
        assert get(f"{url}/a.png", out, "--bytes", "700", "--no-cache") == 0
        assert not cache.exists()
        assert get(f"{url}/a.png", out, "--bytes", "700") == 0
        [kept] = cache.iterdir()
        # Neither used nor changed.
        kept.write_bytes(stream_of("b.png", 700))
        assert get(f"{url}/a.png", out, "--bytes", "900", "--no-cache") == 0
        assert kept.read_bytes() == stream_of("b.png", 700)
    assert load_picture(out)[0, 0, 0] == 900 % 256


def test_get_of_a_picture_that_was_replaced(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, streams = tmp_path / "out.png", {"a.png": stream_of("before", 5000)}
    with Background(folder, StreamOpener(streams)) as url:
        assert get(f"{url}/a.png", out, "--bytes", "700") == 0
        streams["a.png"] = stream_of("after", 5000)
        (folder / "a.png").write_bytes(b"after")
        assert get(f"{url}/a.png", out, "--bytes", "900") == 0
    assert capsys.readouterr().err == ""


def test_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.png").write_bytes(bytes(1_234_567))
    os.utime(folder / "a.png", (1_790_000_000, 1_790_000_000))
    entries = Catalogue(folder).entries()
    with Background(folder) as url:
        assert main(["list", url]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert main(["list", url, "--json"]) == 0
        objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    thumbprint = entries[0].thumbprint
    assert lines[0] == f"   1,234,567  2026-09-21 14:13:20  {thumbprint}  a.png"
    assert [line.split()[-1] for line in lines] == ["a.png", "b.png", "sub/c.jpg"]
    assert objects[0] == {
        "name": "a.png",
        "size": 1_234_567,
        "time": 1_790_000_000,
        "thumbprint": thumbprint,
    }
    assert [object_["name"] for object_ in objects] == [entry.name for entry in entries]


def test_list_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Background(tmp_path) as url:
        assert main(["list", url]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("address", "code"), [("ws://127.0.0.1:9", 7), ("http://127.0.0.1:9", 7)])
def test_list_of_nobody(capsys: pytest.CaptureFixture[str], address: str, code: int) -> None:
    assert main(["list", address]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("diffc-client: ")
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("path", "more", "code", "complaint"),
    [
        ("/nonsense.png", (), 7, "no picture 'nonsense.png'"),
        ("/bad.png", (), 7, "cannot be read as a picture"),
        ("/a.png", ("--bytes", "5"), 3, "nothing to see yet"),
        ("", (), 2, "names no picture"),
        ("/../a.png", (), 2, "is not a picture's name"),
    ],
)
def test_failures_are_one_line_and_no_file(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    path: str,
    more: tuple[str, ...],
    code: int,
    complaint: str,
) -> None:
    (folder / "bad.png").write_bytes(b"broken")
    out, kept = tmp_path / "out.png", tmp_path / "kept.dfc"
    with Background(folder) as url:
        assert get(url + path, out, *more) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("diffc-client: ")
    assert shown.err.count("\n") == 1
    assert complaint in shown.err
    assert not out.exists()
    assert not kept.exists()


def test_a_model_that_is_not_here(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Background(folder, FakeOpener(fingerprints=("12345678",))) as url:
        assert get(f"{url}/a.png", tmp_path / "out.png") == 6
    assert "12345678" in capsys.readouterr().err


def test_nobody_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert get("ws://127.0.0.1:9/a.png", tmp_path / "out.png") == 7
    assert capsys.readouterr().err == (
        "diffc-client: ws://127.0.0.1:9 cannot be reached: Connection refused\n"
    )


def test_an_output_that_cannot_be_written(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Background(folder) as url:
        assert get(f"{url}/a.png", tmp_path / "nowhere" / "out.png") == 1
    assert capsys.readouterr().err.startswith("diffc-client: ")


@pytest.mark.parametrize(
    "arguments",
    [
        *([], ["get"], ["get", "ws://x/a"], ["run", "ws://x"]),
        ["get", "ws://x/a", "-o", "o", "--bytes", "0"],
        ["get", "ws://x/a", "-o", "o", "--bpp", "nan"],
        ["get", "ws://x/a", "-o", "o", "--render", "nicely"],
        ["get", "ws://x/a", "-o", "o", "--window", "5"],
        *(["get", "ws://x/a", "-o", "o", "--side", side] for side in ("0", "65536", "1.5")),
        *(["get", "ws://x/a", "-o", "o", "--psnr", psnr] for psnr in ("0", "101", "nan")),
        *(["list"], ["list", "ws://x", "y"]),
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: diffc-client" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["get"], ["run"], ["mirror"]])
def test_help_teaches(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "examples:\n  diffc-client " in text
    assert "exit code" in text


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_view_until_it_is_told_to_stop(more: list[str], tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    os.mkfifo(shown)  # whoever reads it waits for whoever writes
    script = (
        "import sys, webbrowser, pathlib; from diffc_client.__main__ import main;"
        f"webbrowser.open = pathlib.Path({str(shown)!r}).write_text; sys.exit(main())"
    )
    arguments = ["view", "ws://127.0.0.1:9/a.png", *more, *(["--no-browser"] if more else [])]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        url = json.loads(line)["url"] if more else line.removeprefix("look at ").strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/#/a\.png", url)
        assert more or shown.read_text() == url
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stderr.read() == ""


def test_views_of_what_is_no_sender(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", "http://station/a.dfc", "--no-browser"]) == 2
    assert "is not a sender" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["view", "ws://station", "--rate", "0"])


def test_run_until_it_is_told_to_stop(folder: Path, tmp_path: Path) -> None:
    gate = threading.Semaphore(3)
    script = (
        "import sys; from fakes import FakeDecoders; from diffc_client import ModelDecoders;"
        "from diffc_client.__main__ import main;"
        "ModelDecoders.load = lambda *_, **__: FakeDecoders(); sys.exit(main())"
    )
    kept = tmp_path / "kept"
    with Background(folder, FakeOpener(gate=gate)) as url:
        process = subprocess.Popen(
            [sys.executable, "-c", script, "run", f"{url}/a.png", str(kept)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent / "support")},
        )
        with process:
            assert process.stderr is not None
            assert any(" bpp" in line for line in process.stderr)  # of the first picture
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
            assert "Traceback" not in process.stderr.read()
        gate.release(100)
    [stream] = kept.rglob("*.dfc")
    held = stream.read_bytes()
    assert held == stream_of("a.png", len(held))
    assert list(kept.rglob("*.png"))
    assert list(kept.rglob("*.part")) == []
