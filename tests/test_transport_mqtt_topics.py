"""What is published over MQTT, and what is taken for it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from diffc_stream.transport.mqtt_topics import MOST_ENTRY, Beginning, Item, Piece, Summary, Topics

ITEM = Item(name="sub/ä+#.png", time=5, size=2500, sha256="ab" * 32, piece=1000, source="s")
TOPICS = Topics("cam/gate")
STARTING = replace(
    ITEM,
    name="sub/b.png",
    start=Beginning(ITEM.name, 512, "0123456789abcdef"),
    beginning=Beginning.of("sub/b.png", b"DFC"),
)


def test_an_item_and_its_pieces() -> None:
    assert Item.parse(ITEM.message()) == ITEM
    assert list(ITEM.offsets) == [0, 1000, 2000]
    assert [ITEM.length(offset) for offset in ITEM.offsets] == [1000, 1000, 500]
    topic = TOPICS.piece(ITEM, 2000)
    assert topic == "cam/gate/streams/sub%2F%C3%A4%2B%23.png/abababababababab/2500/2000"
    assert TOPICS.placed(topic) == Piece(ITEM.name, ITEM.id, 2500, 2000)
    assert TOPICS.named(TOPICS.picture(ITEM.name)) == ITEM.name


@pytest.mark.parametrize(
    "topic",
    [
        *("cam/gate/streams/a/b/1", "cam/gate/streams/a/b/1/2/3", "other/streams/a/b/1/2"),
        *("cam/gate/streams/a/b/-1/2", "cam/gate/streams/a/b/1/\u0662x", "cam/gate/pictures/a"),
        *("cam/gate/streams/..%2Fa/b/1/2", f"cam/gate/streams/a/b/1/{'9' * 30}"),
    ],
)
def test_what_is_no_piece(topic: str) -> None:
    assert TOPICS.placed(topic) is None


@pytest.mark.parametrize("level", ["..", "%2Fetc", "a%00", "%ff", "a/b", "x" * 1001])
def test_names_are_checked(level: str) -> None:
    assert TOPICS.named(f"cam/gate/pictures/{level}") is None


@pytest.mark.parametrize(
    "changes",
    [
        *({"name": "../a"}, {"size": 0}, {"size": 2**26 + 1}, {"piece": 1}, {"time": -1}),
        *({"sha256": "AB" * 32}, {"version": 2}, {"piece": 2**20}, {"time": 1.5}, {"name": None}),
    ],
)
def test_what_is_no_item(changes: dict[str, object]) -> None:
    facts = json.loads(ITEM.message()) | changes
    with pytest.raises(ValueError, match=r"."):
        Item.parse(json.dumps(facts).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"[" * 9000, b"\xff", b"x" * (MOST_ENTRY + 1), b"1"])
def test_what_is_no_message(data: bytes) -> None:
    for kind in (Item, Summary):
        with pytest.raises(ValueError, match=r"."):
            kind.parse(data)


def test_a_summary_is_of_all_items_in_any_order() -> None:
    other = replace(ITEM, name="b")
    both = Summary.of([ITEM, other])
    assert both == Summary.of([other, ITEM]) == Summary.parse(both.message())
    assert both.pictures == 2
    assert Summary.of([ITEM, replace(other, sha256="cd" * 32)]) != both
    assert Summary.of([]).pictures == 0


def test_what_a_stream_starts_from() -> None:
    assert Item.parse(STARTING.message()) == STARTING
    told = json.loads(STARTING.message())
    assert told["version"] == 2
    assert told["start"] == {"name": ITEM.name, "size": 512, "sha256": "0123456789abcdef"}
    assert told["beginning"].keys() == {"size", "sha256"}
    assert json.loads(ITEM.message()).keys() == {
        *("version", "name", "time", "size", "sha256", "piece", "source")
    }


@pytest.mark.parametrize(
    "changes",
    [
        *({"version": 1}, {"version": 3}, {"start": None}, {"start": []}, {"beginning": 5}),
        *({"start": {"name": "../a", "size": 1, "sha256": "0" * 16}}, {"start": {"name": "a"}}),
        *({"beginning": {"size": 0, "sha256": "0" * 16}}, {"beginning": {"size": 9}}),
    ],
)
def test_what_is_nothing_to_start_from(changes: dict[str, object]) -> None:
    facts = json.loads(STARTING.message()) | changes
    with pytest.raises(ValueError, match=r"."):
        Item.parse(json.dumps(facts).encode())


def test_a_summary_counts_streams_that_start_from_others_by_themselves() -> None:
    both = Summary.of([STARTING, ITEM])
    assert (both.pictures, both.starting, both.count) == (1, 1, 2)
    assert Summary.parse(both.message()) == both
    alone = json.loads(Summary.of([ITEM]).message())
    assert json.loads(both.message()).items() >= alone.items()
    assert alone.keys() == {"version", "pictures", "sha256"}
    assert Summary.of([ITEM, replace(STARTING, sha256="cd" * 32)]) != both
