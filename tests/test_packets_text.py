"""The text of packets, and the map in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sources import long_stream, stream

from diffc_stream.container import Header, Metadata, Step, StreamReader, StreamWriter
from diffc_stream.errors import CorruptStream
from diffc_stream.packets.text import MOST_MAP, Head, records, text


@given(st.integers(1, 12_000), st.integers(57, 1393))
def test_a_text_holds_its_stream(size: int, piece: int) -> None:
    data = long_stream()[:size]
    whole = text(data, piece)
    head = Head.parse(whole)
    assert len(whole) % piece == 0
    assert head.first <= piece
    assert head.length <= piece // MOST_MAP
    assert whole[head.place : head.place + head.begin] + whole[head.first : head.total] == data
    assert not any(whole[head.total :])


@pytest.mark.parametrize("data", [long_stream(), stream(1500)])
def test_records_are_where_the_reader_finds_them(data: bytes) -> None:
    reader = StreamReader()
    begun = [reader.began for event in reader.feed(data) if isinstance(event, Step)]
    found = list(records(data, end=len(data)))
    assert [place for place, said in found if said and said[0] != 0x30] == begun


@given(st.integers(16, 12_000))
def test_the_map_tells_the_same_records(begin: int) -> None:
    data = long_stream()
    told = list(records(data, end=len(data)))
    chart = b"".join(said for place, said in told if place + len(said) > begin)
    assert list(records(data[:begin], chart, end=len(data))) == told


def test_nothing_is_known_behind_a_map_that_ends_early() -> None:
    data = long_stream()
    told = list(records(data, end=len(data)))
    chart = b"".join(said for _, said in told[:5])
    place, said = list(records(data[: told[0][0]], chart, end=len(data)))[-1]
    assert (place, said) == (told[5][0], b"")


@given(st.binary(max_size=400), st.binary(max_size=60))
def test_nonsense_has_records_too(data: bytes, chart: bytes) -> None:
    found = list(records(stream(400)[:30] + data, chart, end=1000))
    assert all(said for _, said in found[:-1])


def test_a_head_that_cannot_be() -> None:
    with pytest.raises(CorruptStream):
        Head.parse(bytes([5, 9, 0]))


def test_metadata_is_in_the_map_by_its_size() -> None:
    writer = StreamWriter()
    facts = Metadata(camera="A").encode()
    data = writer.header(Header(model="00000000", width=9, height=9, seed=0, about=True))
    start = len(data)
    data += writer.about(facts) + bytes([0x10, 3, 60, 1, 2, 3])
    assert list(records(data, end=len(data))) == [
        (start, bytes([0x31, len(facts)])),
        (start + 2 + len(facts) + 3, bytes([0x10, 3, 60])),
    ]
