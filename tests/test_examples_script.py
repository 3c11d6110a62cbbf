"""The script, against a sender."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import FakeDecoders, stream_of
from serving import Background, pictures

from diffc_client import ModelDecoders
from diffc_stream.picture import load_picture
from examples import script


@pytest.fixture(autouse=True)
def _fake_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelDecoders, "load", lambda *_, **__: FakeDecoders())


def test_a_picture_and_its_stream(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.png"
    (tmp_path / "a.dfc").write_bytes(stream_of("a.png", 1100))
    with Background(pictures(tmp_path)) as url:
        assert script.main([f"{url}/a.png", str(out)]) == 0
    assert load_picture(out)[0, 0, 0] == 5000 % 256
    assert (tmp_path / "a.dfc").read_bytes() == stream_of("a.png", 5000)
    lines = capsys.readouterr().out.splitlines()
    assert int(lines[0].split()[0].replace(",", "")) >= 1100
    assert lines[-1] == "5,000 bytes, about 25.0 dB"


def test_errors_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Background(pictures(tmp_path)) as url:
        assert script.main([f"{url}/no.png", str(tmp_path / "no.png")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("script: ")
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("no.*"))
