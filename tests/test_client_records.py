"""What a mirror remembers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from diffc_client.records import FILE, Record, Records
from diffc_stream.session import WHOLE, Entry, Reason, Target

ENTRY = Entry(name="sub/a.png", size=5, time=7, thumbprint="0123456789abcdef")
MARK = "f" * 16


def saved(folder: Path, target: Target = WHOLE) -> Records:
    images = {
        "sub/a.png": Record(entry=ENTRY, ended=Reason.COMPLETE, length=5000),
        "b.png": Record(entry=Entry(name="b.png", size=0, time=0, thumbprint="0" * 16)),
        "c.png": Record(
            entry=Entry(name="c.png", size=0, time=0, thumbprint="0" * 16),
            ended=Reason.TARGET,
            length=300,
        ),
    }
    records = Records(mark=MARK, images=images)
    records.save(folder, target, mark=MARK)
    return records


def test_there_and_back(tmp_path: Path) -> None:
    assert Records.load(tmp_path, WHOLE) == Records()
    records = saved(tmp_path)
    assert Records.load(tmp_path, WHOLE) == records
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_what_another_target_ended_may_go_on(tmp_path: Path) -> None:
    saved(tmp_path, Target(bytes=300))
    images = Records.load(tmp_path, Target(psnr=30.0)).images
    assert [record.ended for record in images.values()] == [Reason.COMPLETE, None, None]


FACTS: dict[str, object] = {
    "format": 1,
    "mark": None,
    "target": {"bytes": None, "bpp": None, "side": None, "psnr": None},
    "images": [],
}


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", "null", "7", "[" * 100_000),
        json.dumps(FACTS | {"format": 2}),
        json.dumps(FACTS | {"mark": "x"}),
        json.dumps(FACTS | {"images": [1]}),
        json.dumps(FACTS | {"images": [[{"name": "../a"}, None, 0]]}),
        json.dumps(
            FACTS
            | {
                "images": [
                    [{"name": "../a", "size": 1, "time": 1, "thumbprint": "0" * 16}, None, 0]
                ]
            }
        ),
        json.dumps(
            FACTS
            | {
                "images": [
                    [{"name": "a", "size": 1, "time": 1, "thumbprint": "0" * 16}, "boredom", 0]
                ]
            }
        ),
    ],
)
def test_nonsense_is_nothing(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE).write_text(text)
    assert Records.load(tmp_path, WHOLE) == Records()
    [message] = caplog.messages
    assert "is of no use" in message
    assert "\n" not in message


def test_too_much_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    saved(tmp_path)
    monkeypatch.setattr("diffc_client.records.MOST_BYTES", 10)
    assert Records.load(tmp_path, WHOLE) == Records()
    assert "too large" in caplog.text


def test_what_is_half_written_is_swept(tmp_path: Path) -> None:
    saved(tmp_path)
    (tmp_path / f".{FILE}.0a1b2c3d.part").write_bytes(b"{")
    assert len(Records.load(tmp_path, WHOLE).images) == 3
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
