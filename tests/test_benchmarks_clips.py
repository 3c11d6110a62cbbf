"""The benchmark of clips: figures for ours and for video codecs, of the same pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
from sources import by_scale

from diffc_benchmarks import clips
from diffc_stream.clips import Footage
from diffc_stream.clips.showing import save


def footage() -> Footage:
    random = np.random.default_rng(1)
    scene = np.kron(random.integers(40, 200, (8, 10, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    shown = [np.ascontiguousarray(np.roll(scene, number, axis=1)) for number in range(3)]
    return Footage(pictures=shown, milliseconds=100)


@pytest.mark.parametrize("codec", list(clips.CODECS))
def test_video_codecs_come_as_near_as_the_size_lets_them(codec: str) -> None:
    few, coarse = clips.peer(footage(), codec, 400)
    many, fine = clips.peer(footage(), codec, 20_000)
    assert 0 < few <= 400 < many <= 20_000
    assert 15 < coarse.psnr < fine.psnr
    assert clips.peer(footage(), codec, 10)[0] == 0, "it cannot be so small"


def test_the_mean_favours_easy_pictures() -> None:
    hard, easy, last = (picture.astype(np.int16) for picture in footage().pictures)
    shown = [(hard + 20).astype(np.uint8), (easy + 1).astype(np.uint8), (last + 1).astype(np.uint8)]
    found = clips.rated_as(shown, footage())
    assert found.psnr == pytest.approx((22.11 + 2 * 48.13) / 3, abs=0.01)
    assert found.overall == pytest.approx(22.11 + 4.77 - 0.02, abs=0.01)


def test_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(clips, "default_model", by_scale)
    monkeypatch.setattr(clips, "CODECS", {})
    video, record = tmp_path / "a.mp4", tmp_path / "record.json"
    save(video, footage().pictures, 100)
    options = [str(video), "--fps", "10", "--side", "40", "--bytes", "200", "90"]
    assert clips.main([*options, "--json", str(record)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "|  |  | 200 bytes | 90 bytes |"
    assert [line.split(" | ")[1] for line in shown[2:]] == ["clip", "single pictures"]
    found = json.loads(record.read_text())
    assert [entry["bytes"] for entry in found["rated"] if entry["codec"] == "clip"] == [200, 90]
    assert shown[-1].endswith("|  |"), "30 bytes are too few for a picture"
    assert found["seconds"].keys() == {"a.mp4"}
