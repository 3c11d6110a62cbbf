"""Receivers are compared pair by pair, and those that are too far apart are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffc_benchmarks import agreement
from diffc_benchmarks.agreement import Case, Picture, Receiver, measured, page, receivers
from diffc_stream import threads
from diffc_stream.diffusion.collection import DEFAULT
from diffc_stream.diffusion.engine import Engine
from diffc_stream.diffusion.model import load_model
from diffc_stream.picture import load_picture, save_png

RATES = (1.0, 2.0)


@pytest.fixture(autouse=True)
def _as_many_threads_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(threads.NUMBER, str(threads.count()))  # so that it is put back


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photos" / "ramp.png"
    path.parent.mkdir()
    ramp = np.linspace(0, 255, 20 * 24 * 3).reshape(20, 24, 3)
    save_png(path, ramp.astype(np.uint8), text={})
    return path


def constant(value: int) -> Picture:
    return np.full((20, 24, 3), value, np.uint8)


def fake(title: str, value: int | None, *, narrow: bool = False) -> Receiver:
    picture = None if value is None else constant(value)
    return Receiver(title=title, show=lambda case, stream: picture, narrow=narrow)


def test_pairs_are_compared(photo: Path) -> None:
    parties = [fake("a", 7), fake("b", 7), fake("c", 8, narrow=True), fake("d", 9), fake("e", None)]
    outcome = measured([photo], RATES, parties)
    assert len(outcome.cases) == 4
    assert outcome.lowest(("a", "b"), 1.0, "mmse") == float("inf")
    assert outcome.lowest(("a", "c"), 1.0, "mmse") == pytest.approx(48.13, abs=0.01)
    assert outcome.lowest(("a", "e"), 1.0, "mmse") is None
    assert list(outcome.short()) == [("a", "d"), ("b", "d")]
    text = page(outcome)
    assert "| a / b | equal | equal | equal | equal |" in text
    assert "| a / c | 48.1 | 48.1 | 48.1 | 48.1 |" in text
    assert "| a / e | - | - | - | - |" in text
    assert "Too far apart: a / d; b / d." in text
    assert "| e | - | - | - | - |" in text


def test_receivers_agree_and_browsers_are_among_them(
    photo: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(agreement, "METHODS", ("mmse",))  # which takes fewer evaluations
    out, kept = tmp_path / "page.md", tmp_path / "streams"
    command = ["--images", str(photo.parent), "--out", str(out), "--streams", str(kept)]
    command += ["--bpp", "1"]
    assert agreement.main(command) == 0
    assert "No pair is further apart than asked." in out.read_text()
    [stream] = kept.iterdir()
    assert stream.name == "ramp-1.dfc"
    # A browser's pictures of the same streams: here, what another receiver makes of them.
    show = agreement.decoding(load_model(DEFAULT, Engine.TORCH))
    case = Case(picture="ramp", rate=1.0, method="mmse")
    folder = tmp_path / "browser"
    folder.mkdir()
    save_png(folder / f"{case.name}.png", show(case, stream.read_bytes()), text={})
    command += ["--browser", "browser", str(folder)]
    assert agreement.main(command) == 0
    assert "| PyTorch / browser | equal |" in out.read_text()
    save_png(folder / f"{case.name}.png", constant(0), text={})
    assert agreement.main(command) == 1
    assert "too far apart: ONNX Runtime / browser" in capsys.readouterr().err
    save_png(folder / f"{case.name}.png", load_picture(photo)[:8], text={})
    assert agreement.main(command) == 4
    assert "ramp-1-mmse: (8, 24, 3) instead of (20, 24, 3)" in capsys.readouterr().err


def test_everybody_is_there() -> None:
    titles = [entry.title for entry in receivers([("Chromium", "folder")])]
    assert titles == [
        *("ONNX Runtime", "... on one thread", "PyTorch", "PyTorch, bfloat16", "Chromium")
    ]
