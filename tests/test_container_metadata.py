"""What a stream says of how its picture was taken, and what becomes of what makes no sense."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffc_stream.container import Fact, Facts, Metadata, Place, Prefix, StreamReader, StreamWriter
from diffc_stream.container.grammar import MOST_ABOUT, Header, Kind, Step
from diffc_stream.container.metadata import DISCREET, MOST_FACTS, NOTHING, line
from diffc_stream.container.reader import About, Check
from diffc_stream.errors import CorruptStream, PrefixMismatch

ZONES = st.integers(-56, 56).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
TIMES = st.builds(
    lambda days, seconds, zone: (
        datetime.min.replace(tzinfo=zone) + timedelta(days=days, seconds=seconds)
    ),
    st.integers(1, 3_652_057),
    st.integers(0, 86_399),
    st.none() | ZONES,
)
PLACES = st.builds(
    lambda north, east, up: Place(latitude=north / 1e7, longitude=east / 1e7, altitude=up),
    st.integers(-90 * 10**7, 90 * 10**7),
    st.integers(-180 * 10**7, 180 * 10**7),
    st.none() | st.integers(-32_767, 32_767).map(float),
)
TAKEN = Metadata(
    time=datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
    place=Place(latitude=-33.8567844, longitude=151.2152967, altitude=-4.0),
    camera="NIKON D850",
    description="Grüße",
)


@given(
    st.builds(
        Metadata,
        time=st.none() | TIMES,
        place=st.none() | PLACES,
        camera=st.text(max_size=8).map(line),
        description=st.text(max_size=12).map(line),
    )
)
def test_what_is_told_is_read(metadata: Metadata) -> None:
    data = metadata.encode()
    assert len(data) <= MOST_FACTS
    assert Metadata.parse(data) == metadata
    assert bool(metadata) == bool(data)


@given(st.binary(max_size=200))
def test_whatever_bytes_say_is_of_one_line_and_makes_sense(data: bytes) -> None:
    found = Metadata.parse(data)
    for text in found.facts().values():
        assert len(text.splitlines()) <= 1
    assert found.place is None or found.place.sound
    assert len(found.encode()) <= MOST_FACTS


@given(st.text(), st.text())
def test_long_texts_are_cut_between_characters(camera: str, description: str) -> None:
    told = Metadata(time=TAKEN.time, place=TAKEN.place, camera=camera, description=description)
    data = told.encode()
    assert len(data) <= MOST_FACTS
    read = Metadata.parse(data)
    assert (read.time, read.place) == (told.time, told.place)
    assert line(camera).startswith(read.camera.removesuffix("…"))
    assert line(description).startswith(read.description.removesuffix("…"))
    assert bool(read.camera) == bool(line(camera))


def test_hostile_text_is_one_harmless_line() -> None:
    text = "a\x1b[31m\nb\r\tc\u2028d\x9b \u202egnp\u2066 \U0001f469\u200d\U0001f680 \ud800"
    assert line(text) == "a [31m b c d gnp \U0001f469\u200d\U0001f680"
    facts = bytes([4, 5]) + b"a\0\xff\nb"
    assert Metadata.parse(facts).description == "a \ufffd b"


@pytest.mark.parametrize(
    "facts",
    [
        *(b"", b"\x01", b"\x01\x06", b"\x01\x05abcde", b"\x09\x03abc", b"\x02\x08" + b"\x7f" * 8),
        *(b"\x02\x09" + bytes(9), b"\x03\x00", b"\x01\x06" + b"\xff" * 4 + b"\x7f\x00"),
    ],
)
def test_what_makes_no_sense_says_nothing_and_hides_nothing(facts: bytes) -> None:
    assert Metadata.parse(facts) == NOTHING
    assert Metadata.parse(b"\x04\x01x" + facts).description == "x"


def test_an_unknown_zone_is_none() -> None:
    data = bytearray(Metadata(time=datetime(2024, 1, 1, tzinfo=UTC)).encode())
    data[-1] = 100
    assert Metadata.parse(bytes(data)).time == datetime(2024, 1, 1)  # noqa: DTZ001


def test_facts_are_chosen_by_name() -> None:
    assert Facts.named("all") == Facts(Fact)
    assert Facts.named("none") == Facts()
    assert Facts.named("place, time") == Facts((Fact.TIME, Fact.PLACE))
    for facts in (Facts(Fact), Facts(), DISCREET):
        assert Facts.named(str(facts)) == facts
    with pytest.raises(ValueError, match="'time,face' is not all, none or of time,place,camera"):
        Facts.named("time,face")
    assert TAKEN.only(Facts(Fact)) == TAKEN
    assert TAKEN.only(Facts()) == NOTHING
    assert TAKEN.only(DISCREET).place is None
    assert list(TAKEN.facts().values()) == [
        "2024-05-06 07:08:09-03:30",
        "33.856784 S, 151.215297 E, -4 m",
        "NIKON D850",
        "Grüße",
    ]


HEADER = Header(model="00112233", width=64, height=64, seed=3, ratio=153, about=True)
STEP = Step(kind=Kind.REFINE, length=400, delta_code=56)


def written(facts: bytes) -> list[bytes]:
    writer = StreamWriter()
    pieces = [writer.header(HEADER), writer.step(STEP, bytes(400)), writer.about(facts)]
    pieces += [writer.step(STEP, bytes(400)), writer.check()]
    return pieces


@pytest.mark.parametrize("size", [1, 16, 100, 2000])
def test_facts_stand_between_steps_and_are_checked(size: int) -> None:
    facts = TAKEN.encode()
    data = b"".join(written(facts))
    reader = StreamReader()
    found = [
        event
        for start in range(0, len(data), size)
        for event in reader.feed(data[start : start + size])
        if isinstance(event, About | Check)
    ]
    assert found == [About(facts), Check(offset=len(data) - 3, good=True)]
    assert reader.verified == len(data)


def test_damaged_facts_are_none() -> None:
    pieces = written(TAKEN.encode())
    data = bytearray(b"".join(pieces))
    place = len(pieces[0] + pieces[1])
    data[place + 5] ^= 1
    with pytest.raises(CorruptStream, match="a check failed"):
        list(StreamReader().feed(bytes(data)))
    events = list(StreamReader(damaged=True).feed(bytes(data)))
    assert [event.good for event in events if isinstance(event, Check)] == [False, True]
    assert not any(isinstance(event, About) for event in events)
    data[place + 1] = MOST_ABOUT + 1
    with pytest.raises(CorruptStream, match="facts of 128 bytes"):
        list(StreamReader().feed(bytes(data)))


def test_facts_come_once_and_in_version_3_alone() -> None:
    writer = StreamWriter()
    twice = writer.header(HEADER) + writer.about(b"\x01\x00") + writer.about(b"\x01\x00")
    with pytest.raises(CorruptStream, match="no record starts with 0x31"):
        list(StreamReader().feed(twice))
    writer = StreamWriter()
    plain = Header(model="00112233", width=64, height=64, seed=3, ratio=153)
    with pytest.raises(CorruptStream, match="no record starts with 0x31"):
        list(StreamReader().feed(writer.header(plain) + writer.about(b"\x01\x00")))
    assert (plain.version, HEADER.version) == (2, 3)
    assert Header.parse(HEADER.encode())[0] == HEADER


def test_a_prefix_has_facts_wholly_or_is_about_to() -> None:
    pieces = written(TAKEN.encode())
    data = b"".join(pieces)
    begin, end = (len(b"".join(pieces[:n])) for n in (2, 3))
    for length in range(begin, end):
        prefix = Prefix(data[:length])
        assert (prefix.settled, prefix.about, prefix.begun) == (begin, length > begin, None)
        assert len(prefix.records) == 1
    prefix = Prefix(data[:end])
    assert [type(record) for record in prefix.records] == [tuple, About]
    assert not prefix.about
    other = Header(model="00112233", width=64, height=64, seed=3, ratio=153)
    with pytest.raises(PrefixMismatch, match="of version 3, not 2"):
        prefix.check(other)
    again = StreamWriter()
    assert again.header(HEADER) == pieces[0]
    assert list(itertools.accumulate(map(len, pieces)))[-1] == len(data)
