"""The asyncio program, against a sender."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import FakeDecoders, FakeOpener, StreamOpener, stream_of
from serving import Background, pictures

from diffc_client import ModelDecoders
from diffc_stream.picture import load_picture
from examples import asyncio_app

NAMES = ("a.png", "b.png", "sub/c.jpg")


@pytest.fixture(autouse=True)
def _fake_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ModelDecoders, "load", lambda *_, **__: FakeDecoders())


def test_all_pictures_until_they_are_good_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, opener = tmp_path / "out", FakeOpener(length=200_000)
    with Background(pictures(tmp_path), opener) as url:
        assert asyncio_app.main([url, str(out), "--first", "b.png", "--psnr", "21.5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in NAMES:
        assert load_picture(out / f"{name}.png").shape == (30, 40, 3)
        qualities = [float(line.split()[-2]) for line in lines if line.startswith(f"{name}: ")]
        assert qualities[-1] >= 21.5 > max([0.0, *qualities[:-1]])
    # It was told to stop: what came beyond is at most a window and what was encoded ahead.
    assert all(size < 200_000 for size in opener.computed.values())
    assert len(list((out / "streams").glob("*.dfc"))) == 3


def test_it_goes_on_where_it_was_unless_a_picture_was_replaced(tmp_path: Path) -> None:
    out, folder = tmp_path / "out", pictures(tmp_path)
    streams = {name.rpartition("/")[2]: stream_of(name, 3000) for name in NAMES}
    opener = StreamOpener(streams)
    with Background(folder, opener) as url:
        assert asyncio_app.main([url, str(out), "--psnr", "99"]) == 0
        streams["a.png"] = stream_of("another", 3500)
        (folder / "a.png").write_bytes(b"another")
        assert asyncio_app.main([url, str(out), "--psnr", "99"]) == 0
    held = {path.read_bytes() for path in (out / "streams").glob("*.dfc")}
    assert held == set(streams.values())


def test_errors_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = pictures(tmp_path)
    (folder / "a.png").write_bytes(b"broken")
    with Background(folder) as url:
        assert asyncio_app.main([url, str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("asyncio_app: ")
    assert error.count("\n") == 1
    assert asyncio_app.main([url, str(tmp_path / "out")]) == 1
    assert "cannot be reached" in capsys.readouterr().err
