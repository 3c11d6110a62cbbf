"""Streams of several pictures, as bytes: headers, turns, second estimates."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffc_stream.container import Clip, Header, Kind, Motion, Second, Step, StreamReader, Turn
from diffc_stream.container.clip import MOST_PICTURES, MOST_RECORD, MOST_VECTORS, sources
from diffc_stream.container.grammar import CHECK_DUE, CHECK_SIZE
from diffc_stream.container.prefix import Prefix
from diffc_stream.container.reader import Check, Event, Payload
from diffc_stream.container.varint import LONGEST_VARINT, Truncated
from diffc_stream.container.writer import StreamWriter
from diffc_stream.errors import CorruptStream, PrefixMismatch

FORMAT = Path(__file__).parent.parent / "docs" / "format.md"
HEADER = Header(
    model="01020304",
    width=320,
    height=180,
    seed=7,
    ratio=153,
    about=True,
    clip=Clip(pictures=24, milliseconds=83, stride=4),
)


def events(data: bytes) -> list[Event]:
    return list(StreamReader().feed(data))


def test_the_header_has_a_version_of_its_own() -> None:
    data = HEADER.encode()
    assert HEADER.version == 5
    assert Header.parse(data) == (HEADER, len(data))
    for size in range(len(data)):
        assert Header.at(data[:size]) is None


@pytest.mark.parametrize(
    "clip",
    [
        Clip(pictures=1, milliseconds=83, stride=1),
        Clip(pictures=MOST_PICTURES + 1, milliseconds=83, stride=1),
        Clip(pictures=24, milliseconds=0, stride=1),
        Clip(pictures=24, milliseconds=60_001, stride=1),
        Clip(pictures=24, milliseconds=83, stride=0),
        Clip(pictures=24, milliseconds=83, stride=25),
    ],
)
def test_impossible_clips_are_refused(clip: Clip) -> None:
    with pytest.raises(CorruptStream, match=r"\d+ pictures of \d+ ms, \d+ apart"):
        Clip.parse(clip.encode(), 0)


def test_white_noise_is_refused() -> None:
    header = Header(model="01020304", width=320, height=180, seed=7, about=True, clip=HEADER.clip)
    with pytest.raises(CorruptStream, match="ratio of 255"):
        Header.parse(header.encode())


BYTES = st.binary(min_size=1, max_size=40)
SECONDS = st.builds(Second, earlier=st.just(True), later=st.booleans(), trust=BYTES) | st.builds(
    Second, earlier=st.just(False), later=st.just(True), trust=BYTES
)


@given(SECONDS | st.builds(Motion, source=st.integers(0, 1), vectors=BYTES))
def test_records_come_back_as_they_were(record: Motion | Second) -> None:
    data = record.encode()
    assert type(record).parse(data, 0) == (record, len(data))
    for size in range(len(data)):
        with pytest.raises(Truncated):
            type(record).parse(data[:size], 0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x34\x00\x01\x00", "sources 0"),
        (b"\x34\x04\x01\x00", "sources 4"),
        (b"\x34\x01\x00", "a record of 0 bytes"),
        (b"\x34\x01\x81\x20", "a record of 4097 bytes"),
    ],
)
def test_impossible_second_estimates_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(CorruptStream, match=message):
        Second.parse(data, 0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x33\x02\x01\x00", "since the source 2"),
        (b"\x33\x01\x00", "a record of 0 bytes"),
        (b"\x33\x01\x81\x20", "a record of 4097 bytes"),
    ],
)
def test_impossible_motions_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(CorruptStream, match=message):
        Motion.parse(data, 0)


def test_turns_name_pictures_that_exist() -> None:
    assert Turn.parse(Turn(23).encode(), 24, 0) == (Turn(23), 2)
    with pytest.raises(CorruptStream, match="picture 24 of 24"):
        Turn.parse(Turn(24).encode(), 24, 0)


def test_every_picture_has_steps_before_of_its_own() -> None:
    writer = StreamWriter()
    small = Step(kind=Kind.REFINE, length=12, delta_code=57)
    large = Step(kind=Kind.REFINE, length=100, delta_code=80)
    data = writer.header(HEADER) + writer.step(small, bytes(12)) + writer.turn(5)
    data += writer.step(large, bytes(100)) + writer.turn(0)
    begin = len(data)
    data += writer.step(small, bytes(12))
    assert len(data) - begin == 13, "a description of one byte, as if nothing had come between"
    found = [event for event in events(data) if not isinstance(event, Payload)]
    assert found == [HEADER, small, Turn(5), large, Turn(0), small]
    assert writer.turn(0) == b"", "it is there already"


def test_checks_come_after_records_too() -> None:
    writer = StreamWriter()
    second = Second(earlier=True, later=False, trust=bytes(CHECK_DUE))
    data = writer.header(HEADER) + writer.turn(23) + writer.told(second)
    assert [type(event) for event in events(data)] == [Header, Turn, Second, Check]
    with pytest.raises(CorruptStream, match="a check failed"):
        events(data[:-20] + b"\x01" + data[-19:])


def test_so_much_of_a_clip_goes_unchecked_at_most() -> None:
    writer = StreamWriter()
    head = writer.header(HEADER)
    step = Step(kind=Kind.REFINE, length=CHECK_DUE - 1 - len(head) - 4, delta_code=200)
    data = head + writer.step(step, bytes(step.length))
    assert len(data) == CHECK_DUE - 1
    data += writer.told(Motion(source=0, vectors=bytes(MOST_VECTORS)))
    assert [type(event) for event in events(data)] == [Header, Step, Payload, Motion, Check]
    most = CHECK_DUE - 1 + MOST_RECORD
    assert most - LONGEST_VARINT < len(data) - CHECK_SIZE <= most
    assert f"at most {most / 1000:.1f} kB" in FORMAT.read_text()


def test_streams_of_single_pictures_have_no_turns() -> None:
    header = Header(model="01020304", width=320, height=180, seed=7, ratio=153, about=True)
    with pytest.raises(CorruptStream, match="no record starts with 0x32"):
        events(header.encode() + Turn(1).encode())


def test_clips_are_no_prefixes() -> None:
    with pytest.raises(PrefixMismatch, match="several pictures"):
        Prefix(HEADER.encode() + Turn(1).encode())


@pytest.mark.parametrize("stride", [1, 2, 4, 24])
@pytest.mark.parametrize("pictures", [2, 3, 24, 100])
def test_sources_come_before_the_pictures_that_start_from_them(pictures: int, stride: int) -> None:
    order = sources(Clip(pictures=pictures, milliseconds=40, stride=min(stride, pictures)))
    assert sorted(order) == list(range(pictures))
    assert order[0] == (None, None)
    seen: set[int] = set()
    for number, (earlier, later) in order.items():
        assert {earlier, later} - {None} <= seen
        assert earlier is None or earlier < number
        assert later is None or later > number
        seen.add(number)


def test_the_order_of_coding() -> None:
    order = sources(Clip(pictures=8, milliseconds=40, stride=4))
    assert list(order.items()) == [
        (0, (None, None)),
        (4, (0, None)),
        (2, (0, 4)),
        (1, (0, 2)),
        (3, (2, 4)),
        (7, (4, None)),
        (5, (4, 7)),
        (6, (5, 7)),
    ]


def test_a_reader_goes_two_ways() -> None:
    writer = StreamWriter()
    step = Step(kind=Kind.REFINE, length=40, delta_code=57)
    head = writer.header(HEADER) + writer.step(step, bytes(40)) + writer.turn(3)
    tail = writer.turn(0) + writer.step(step, bytes(40))
    reader = StreamReader()
    list(reader.feed(head))
    other = reader.branch()
    assert list(other.feed(Turn(7).encode())) == [Turn(7)]
    assert step in list(reader.feed(tail))
