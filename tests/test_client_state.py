"""What a mirror remembers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from diffc_client.mirror.content import Content
from diffc_client.mirror.owned_folder import OwnedFolder
from diffc_client.mirror.paths import Places
from diffc_client.mirror.state import FILE, Record, Records
from diffc_stream.session import WHOLE, Entry, Reason, Target

ENTRY = Entry(name="sub/a.png", size=5, time=7, thumbprint="0123456789abcdef")
MARK = "f" * 16


@pytest.fixture
def owned(tmp_path: Path) -> Iterator[OwnedFolder]:
    owned = OwnedFolder(Places(tmp_path))
    yield owned
    owned.close()


def saved(owned: OwnedFolder, target: Target = WHOLE) -> Records:
    images = {
        "sub/a.png": Record(entry=ENTRY, ended=Reason.COMPLETE, length=5000),
        "b.png": Record(entry=Entry(name="b.png", size=0, time=0, thumbprint="0" * 16)),
        "c.png": Record(
            entry=Entry(name="c.png", size=0, time=0, thumbprint="0" * 16),
            ended=Reason.TARGET,
            length=300,
        ),
    }
    records = Records(mark=MARK, images=images, starts={"c.png": ("b.png", 512)})
    records.save(owned, target, mark=MARK)
    return records


def test_there_and_back(tmp_path: Path, owned: OwnedFolder) -> None:
    assert Records.load(owned, WHOLE) == Records()
    records = saved(owned)
    assert Records.load(owned, WHOLE) == records
    assert sorted(path.name for path in tmp_path.iterdir()) == [".diffc-written-1.log", FILE]


def test_what_another_target_ended_may_go_on(owned: OwnedFolder) -> None:
    saved(owned, Target(bytes=300))
    images = Records.load(owned, Target(psnr=30.0)).images
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
        json.dumps(FACTS | {"starts": {"a": ["b", "c"]}}),
        json.dumps(FACTS | {"starts": {"a": 7}}),
        json.dumps(FACTS | {"starts": {"a": ["b", 2**40]}}),
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
def test_nonsense_is_nothing(
    tmp_path: Path, owned: OwnedFolder, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_text(text)
    assert Records.load(owned, WHOLE) == Records()
    [message] = caplog.messages
    assert "cannot be used" in message
    assert "\n" not in message


def test_too_much_is_not_read(
    owned: OwnedFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    saved(owned)
    monkeypatch.setattr("diffc_client.mirror.state.MOST_BYTES", 10)
    assert Records.load(owned, WHOLE) == Records()
    assert "too large" in caplog.text


def test_what_was_changed_is_not_believed_and_stays(
    tmp_path: Path, owned: OwnedFolder, caplog: pytest.LogCaptureFixture
) -> None:
    saved(owned)
    changed = (tmp_path / FILE).read_bytes().replace(b"5000", b"5001")
    (tmp_path / FILE).write_bytes(changed)
    owned.close()
    again = OwnedFolder(Places(tmp_path))
    assert Records.load(again, WHOLE) == Records()
    assert "another program has changed it" in caplog.text
    with pytest.raises(OSError, match="it is kept"):
        saved(again)
    assert (tmp_path / FILE).read_bytes() == changed
    again.close()


def test_those_of_an_earlier_version_are_taken_over(tmp_path: Path, owned: OwnedFolder) -> None:
    saved(owned)
    data = (tmp_path / FILE).read_bytes()
    owned.close()
    (tmp_path / ".diffc-written-1.log").unlink()
    again = OwnedFolder(Places(tmp_path))
    assert len(Records.load(again, WHOLE).images) == 3
    assert again.journal.get(FILE) == (Content.of(data), None)
    saved(again)
    again.close()
