"""The browser's benchmark, once, on a picture of few pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from browser import chromium
from PIL import Image

from diffc_benchmarks import browser
from diffc_stream import Decoder, Encoder, default_model, psnr


def test_how_long_it_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chromium()
    photo = tmp_path / "photo.png"
    Image.fromarray(browser.computed(48)).save(photo)
    command = ["--image", str(photo), "--bpp", "0.5", "--threads", "1", "--json"]
    assert browser.main(command) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["width"], facts["height"], facts["provider"]) == (48, 48, "wasm")
    assert facts["bytes"] == 48 * 48 // 16 > facts["first_record"]
    for seconds in (facts["cold"], facts["warm"]):
        assert 0 < seconds["first_picture"] < seconds["last_picture"]


def test_the_browser_decodes_what_python_does(tmp_path: Path) -> None:
    chromium()
    model = default_model()
    stream = b"".join(Encoder(browser.computed(48), model, target_bytes=144))
    (tmp_path / "rings-0.5.dfc").write_bytes(stream)
    decoder = Decoder([model])
    decoder.feed(stream)
    saved = tmp_path / "pictures"
    assert browser.main(["--streams", str(tmp_path), "--save", str(saved)]) == 0
    for method in ("mmse", "flow"):
        with Image.open(saved / f"rings-0.5-{method}.png") as picture:
            found = np.asarray(picture.convert("RGB"))
        assert psnr(found, decoder.render(method).image) > 60


def test_without_a_browser_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    assert browser.main([]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_pictures_need_streams() -> None:
    assert browser.main(["--save", "pictures"]) == 2
