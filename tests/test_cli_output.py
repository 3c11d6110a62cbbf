"""What the commands show while they work, to those who look."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from diffc_stream.cli import main
from diffc_stream.cli.output import print_json, progress
from diffc_stream.picture import save_png
from diffc_stream.work import tell


@pytest.fixture
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """People are looking, at lines that are long enough."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.usefixtures("_terminal")
def test_progress_is_shown_from_the_first_moment_and_says_what_is_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress("encoding") as advance:
        assert "starting" in capsys.readouterr().err
        advance.working("reading")
        advance.towards(2000)
        advance(1234, "about 31 dB")
        tell("evaluating", 1 / 3)
    shown = capsys.readouterr().err
    assert "encoding" in shown
    assert "1234 bytes" in shown
    assert "about 31 dB" in shown
    assert "evaluating 33 %" in shown


def test_nothing_is_shown_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("encoding", 100) as advance:
        advance(50, "half of it")
        tell("evaluating", 0.5)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("_terminal")
def test_encoding_and_decoding_show_what_they_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = np.arange(20 * 30 * 3, dtype=np.uint8).reshape(20, 30, 3)
    photo, stream = str(tmp_path / "photo.png"), str(tmp_path / "photo.dfc")
    save_png(Path(photo), picture)
    assert main(["encode", photo, stream, "--bytes", "200"]) == 0
    shown = capsys.readouterr()
    assert "starting" in shown.err
    assert "200 bytes" in shown.err
    assert "200 bytes" in shown.out
    assert main(["decode", stream, photo]) == 0
    shown = capsys.readouterr()
    assert "starting" in shown.err
    assert "writing" in shown.err


def test_what_json_has_no_number_for_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"psnr": math.inf, "steps": [1, {"bpp": math.nan}]})
    assert json.loads(capsys.readouterr().out) == {"psnr": None, "steps": [1, {"bpp": None}]}
