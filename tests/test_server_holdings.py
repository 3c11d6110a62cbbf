"""What a broker has, and what of it a newcomer can decode."""

from __future__ import annotations

from diffc_server.mqtt.holdings import Holdings
from diffc_stream.container.reference import MOST_BACK
from diffc_stream.transport.mqtt_topics import Beginning, Item


def item(name: str, start: Beginning | None = None, *, beginning: bool = True) -> Item:
    own = Beginning.of(name, name.encode()) if beginning else None
    return Item(name=name, time=0, size=9, sha256="0" * 64, piece=64, start=start, beginning=own)


def holding(*items: Item) -> Holdings:
    return Holdings((one.name, one) for one in items)


KEY = item("key")
NEXT = item("next", KEY.beginning)
LAST = item("last", NEXT.beginning, beginning=False)


def test_a_stream_decodes_with_all_that_it_goes_back_to() -> None:
    there = holding(KEY, NEXT, LAST)
    assert all(map(there.decodes, there))
    assert [name for name in there if there.is_key(name)] == ["key"]
    assert [name for name in there if there.begins(name)] == ["key", "next"]
    assert there.needed(["last", "elsewhere"]) == {"key", "next", "last"}
    assert there.needed(["next", "key"]) == {"key", "next"}
    assert NEXT.beginning is not None
    assert there.holds(NEXT.beginning)
    del there["key"]
    assert not any(map(there.decodes, there))
    assert not there.holds(NEXT.beginning)
    assert not there.begins("next")


def test_another_beginning_is_not_what_it_starts_from() -> None:
    there = holding(KEY, item("next", Beginning("key", 3, "0" * 16)), LAST)
    assert [name for name in there if there.decodes(name)] == ["key"]
    assert there.needed(["last"]) == {"last", "next"}
    assert not there.holds(Beginning("key", 3, "0" * 16))


def test_a_broker_may_say_that_streams_start_from_each_other() -> None:
    circle = holding(item("a", Beginning.of("b", b"b")), item("b", Beginning.of("a", b"a")))
    assert not circle.decodes("a")
    assert circle.needed(["a"]) == {"a", "b"}
    chain = [item("0")]
    for number in range(1, MOST_BACK + 2):
        chain.append(item(str(number), chain[-1].beginning))
    there = holding(*chain)
    assert there.decodes(str(MOST_BACK))
    assert not there.decodes(str(MOST_BACK + 1))
