"""A picture in a terminal, and the order that it leaves there."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeOpener
from serving import Background, pictures

from diffc_client import Refinement
from diffc_client.cli.display import WAITING, Display
from diffc_client.cli.terminal import Capability

BLOCKS = Capability(way="blocks", true_colour=True)


def refinement(size: int) -> Refinement:
    return Refinement(
        image=np.full((8, 12, 3), size, np.uint8),
        bytes=size,
        bpp=8.0 * size,
        predicted_psnr=None,
        complete=False,
        description={},
    )


def describe(shown: Refinement) -> tuple[str, float | None]:
    return f"{shown.bytes} bytes", shown.bytes / 200


class Terminal(io.StringIO):
    """Tells when something was written; may be gone."""

    def __init__(self, *, gone: bool = False) -> None:
        super().__init__()
        self.painted = threading.Semaphore(0)
        self.gone = gone

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def write(self, text: str) -> int:
        if self.gone:
            raise OSError("gone")
        super().write(text)
        if "byt" in text and WAITING not in text:
            self.painted.release()
        return len(text)


def paint(*shown: Refinement, how: Capability | None, sizes: list[tuple[int, int]]) -> str:
    """Return what is written while one after the other is shown."""
    terminal = Terminal()
    ahead = iter(sizes)
    with Display(terminal, how, describe, lambda: next(ahead)) as display:
        for each in shown:
            display.show(each)
            assert terminal.painted.acquire(timeout=60)
    return terminal.getvalue()


def test_each_picture_takes_the_place_of_the_one_before() -> None:
    text = paint(refinement(50), refinement(200), how=BLOCKS, sizes=[(80, 24)] * 2)
    first, second = text.split("\x1b[?2026l")[:2]
    # Room is made once, and returned to from the line below the picture.
    assert "\n\n\n\n\r\x1b[4A" in first
    assert "\r\x1b[4A" in second
    assert "\n\n" not in second
    assert first.count("▀" * 12) == second.count("▀" * 12) == 4
    assert "━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ 50 bytes" in first
    assert "━" * 24 + " 200 bytes" in second
    # However it ends: the cursor is shown, at the start of an empty line.
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 2
    assert text.endswith("\r\x1b[2K")


def test_another_size_begins_anew_below() -> None:
    text = paint(refinement(50), refinement(60), how=BLOCKS, sizes=[(80, 24), (7, 24)])
    second = text.split("\x1b[?2026l")[1]
    assert "\r\x1b[2K\n" in second
    assert "▀" * 6 + "\x1b" in second
    # The line is cut, or it would wrap.
    assert "\x1b[2K60 byt\r" in second


def test_the_line_alone() -> None:
    text = paint(refinement(50), how=None, sizes=[(80, 24)])
    assert "▀" not in text
    assert "\x1b[?25l" not in text
    assert "50 bytes\r" in text
    assert text.startswith(f"{WAITING}\r")
    assert text.endswith("\r\x1b[2K")


def test_a_terminal_that_has_gone_stops_nothing() -> None:
    terminal = Terminal()
    with Display(terminal, BLOCKS, describe, lambda: (80, 24)) as display:
        terminal.gone = True
        display.show(refinement(50))


SCRIPT = (
    "import signal, sys; from fakes import FakeDecoders; from diffc_client import ModelDecoders;"
    # What is started in the background of a shell ignores it.
    "signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from diffc_client.__main__ import main;"
    "ModelDecoders.load = lambda *_, **__: FakeDecoders(); sys.exit(main())"
)


def in_a_terminal(
    arguments: list[str], environment: dict[str, str], *, interrupted: bool = False
) -> tuple[str, int]:
    """Return what the command writes to its terminal, and its exit code.

    ``interrupted``: by Ctrl-C, once it has shown a picture.
    """
    pty = pytest.importorskip("pty", reason="needs pseudo terminals")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parent / "support"),
            **environment,
        },
    )
    os.close(theirs)
    output = b""
    try:
        while chunk := os.read(ours, 65536):
            output += chunk
            if interrupted and b"\x1b[?2026l" in output:
                process.send_signal(signal.SIGINT)
                interrupted = False
    except OSError:
        pass  # the last one has closed it
    finally:
        os.close(ours)
    return output.decode(), process.wait(60)


@pytest.mark.parametrize(
    ("environment", "more", "way"),
    [
        ({"TERM": "xterm-256color"}, [], "\x1b[38;5;"),
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, [], "\x1b[38;2;"),
        ({"TERM": "xterm-kitty"}, [], "\x1b_Ga=T"),
        ({"TERM": "xterm-256color"}, ["--picture", "iterm"], "\x1b]1337;File=inline=1"),
        ({"TERM": "xterm-kitty", "NO_COLOR": "1"}, [], None),
        ({"TERM": "xterm-kitty"}, ["--picture", "off"], None),
        ({"TERM": "dumb"}, [], None),
    ],
)
def test_the_command_in_a_terminal(
    tmp_path: Path, environment: dict[str, str], more: list[str], way: str | None
) -> None:
    environment = {"LC_ALL": "C.UTF-8", "DIFFC_CACHE": str(tmp_path / "cache"), **environment}
    with Background(pictures(tmp_path)) as url:
        text, code = in_a_terminal(
            ["get", f"{url}/a.png", "-o", str(tmp_path / "a.out.png"), *more], environment
        )
    assert code == 0
    ways = ["\x1b[38;5;", "\x1b[38;2;", "\x1b_G", "\x1b]1337"]
    assert [w for w in ways if w in text] == (
        [] if way is None else [w for w in ways if way.startswith(w)]
    )
    if environment["TERM"] == "dumb":
        assert "\x1b" not in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h")
    assert re.search(r"a\.out\.png: 5,000 bytes, .*about 25\.0 dB\r\n$", text)


def test_an_interrupt_leaves_the_terminal_in_order(tmp_path: Path) -> None:
    environment = {"LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
    gate = threading.Semaphore(2)
    with Background(pictures(tmp_path), FakeOpener(gate=gate)) as url:
        text, code = in_a_terminal(
            ["get", f"{url}/a.png", "-o", str(tmp_path / "a.out.png"), "--no-cache"],
            environment,
            interrupted=True,
        )
        gate.release(100)
    assert code == 130
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") > 0
    assert text.endswith("\r\x1b[2Kdiffc-client: interrupted\r\n")
    assert not (tmp_path / "a.out.png").exists()
