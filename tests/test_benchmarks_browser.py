"""The browser's benchmark, once, on a picture of few pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from browser import chromium
from PIL import Image

from diffc_benchmarks import browser
from diffc_stream import Decoder, default_model, psnr


def test_the_browser_decodes_what_python_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chromium()
    photo, saved, kept = (tmp_path / name for name in ("photo.png", "saved.png", "kept.dfc"))
    Image.fromarray(browser.computed(48)).save(photo)
    command = ["--image", str(photo), "--bpp", "0.5", "--save", str(saved), "--stream", str(kept)]
    assert browser.main([*command, "--threads", "1", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["width"], facts["height"], facts["provider"]) == (48, 48, "wasm")
    assert facts["bytes"] == len(kept.read_bytes()) > facts["first_record"]
    for seconds in (facts["cold"], facts["warm"]):
        assert 0 < seconds["first_picture"] < seconds["last_picture"]
    decoder = Decoder([default_model()])
    decoder.feed(kept.read_bytes())
    with Image.open(saved) as picture:
        assert psnr(np.asarray(picture.convert("RGB")), decoder.render().image) > 60


def test_without_a_browser_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert browser.main([]) == 1
    assert capsys.readouterr().err.count("\n") == 1
