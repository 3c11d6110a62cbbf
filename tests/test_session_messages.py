"""Every message there and back, and everything that is not one refused."""

from __future__ import annotations

import dataclasses

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffc_stream.container.grammar import crc32c
from diffc_stream.errors import LocalProtocolError, RemoteProtocolError
from diffc_stream.session import (
    MAX_MESSAGE,
    MAX_STREAM,
    Ack,
    Alive,
    Catalogue,
    Data,
    End,
    Entry,
    Error,
    Goaway,
    Hello,
    List,
    Message,
    Open,
    Reason,
    Stop,
    Update,
    Welcome,
    decode,
    encode,
)
from diffc_stream.session.coding import data_size
from diffc_stream.session.fields import Record
from diffc_stream.session.messages import CONTROL, ENTRIES_PER_PAGE

ENTRY = Entry(name="coffee.jpg", size=123_456, time=1_790_000_000, thumbprint="0123456789abcdef")
ROW = ["coffee.jpg", 123_456, 1_790_000_000, "0123456789abcdef"]
EXAMPLES: list[Message] = [
    Hello(window=8192, idle=60.0, models=("0a1b2c3d",)),
    Welcome(window=4096, idle=30.0, streams=16, models=("0a1b2c3d",)),
    List(),
    Catalogue(images=(ENTRY, dataclasses.replace(ENTRY, name="harbour/crane.png")), last=True),
    Open(stream=1, image="coffee.jpg"),
    Open(stream=7, image="kaffee_ä.jpg", start=900, prefix="0123456789abcdef", bpp=0.25),
    Ack(received=123456),
    Ack(received=123456, window=1024),
    Update(stream=3),
    Update(stream=3, side=512, psnr=31.5, weight=0.25),
    Goaway(wait=5.0),
    Stop(stream=3),
    End(stream=1, reason=Reason.TARGET, length=4000),
    Error(stream=2, code="unknown-image", message="there is none", retry=True),
    Alive(),
    Alive(said=17),
    Data(stream=1, offset=0, payload=b"x"),
    Data(stream=300, offset=70_000, payload=bytes(1200)),
]
each = pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: type(m).__name__)


def control(message: type[Message], *values: object) -> bytes:
    return bytes([message.kind]) + bytes(msgpack.packb(list(values)))


def test_there_is_an_example_of_every_message() -> None:
    assert {type(example) for example in EXAMPLES} == {*CONTROL, Data}


@each
def test_there_and_back(message: Message) -> None:
    assert decode(encode(message)) == message


@each
def test_no_beginning_of_a_message_is_one(message: Message) -> None:
    data = encode(message)
    for end in range(len(data)):
        with pytest.raises(RemoteProtocolError):
            decode(data[:end])


@each
def test_nothing_may_follow_a_message(message: Message) -> None:
    for tail in (b"\0", b"\xc0", encode(message)):
        with pytest.raises(RemoteProtocolError):
            decode(encode(message) + tail)


@each
def test_oversized_messages_are_refused(message: Message) -> None:
    with pytest.raises(RemoteProtocolError, match="more than 16384"):
        decode(encode(message) + bytes(MAX_MESSAGE))


@pytest.mark.parametrize("message", CONTROL, ids=lambda m: m.__name__)
def test_a_newer_minor_version_may_append_fields(message: type[Message]) -> None:
    example = next(e for e in EXAMPLES if type(e) is message)
    record = Record(message)
    values = [field.plain(getattr(example, name)) for name, field in record.fields.items()]
    assert decode(control(message, *values, "new", 7, None)) == example


def test_defaults_are_not_written_at_the_end() -> None:
    assert encode(Open(stream=1, image="a.png")) == control(Open, 1, "a.png")
    assert encode(Open(stream=1, image="a.png", psnr=30.0)) == control(
        Open, 1, "a.png", 0, None, None, None, None, 30
    )


def test_fields_with_defaults_may_be_missing_at_the_end() -> None:
    assert decode(control(Open, 1, "a.png")) == Open(stream=1, image="a.png")
    with pytest.raises(RemoteProtocolError, match="OPEN: fields are missing"):
        decode(control(Open, 1))


HOSTILE = {
    "a map": b"\x80",
    "a map with a key": b"\x81\x01\x01",
    "a huge map": b"\xdf\xff\xff\xff\xff",
    "a huge array": b"\xdd\xff\xff\xff\xff",
    "an array of 65 elements": b"\xdc\x00\x41" + b"\x01" * 65,
    "nested arrays": b"\x91" * 10_000 + b"\x01",
    "deep but legal nesting": b"\x91" * 300 + b"\x01",
    "an extension": b"\x91\xc7\x01\x05a",
    "a timestamp": b"\x91\xd6\xff\x00\x00\x00\x00",
    "a byte string": b"\x91\xc4\x01a",
    "a huge string": b"\x91\xdb\xff\xff\xff\xff",
    "not UTF-8": b"\x92\x01\xa2\xff\xfe",
    "no array": b"\x05",
    "nil": b"\xc0",
    "nothing": b"",
    "an unassigned byte": b"\xc1",
    "many empty arrays": b"\xdc\x00\x40" + b"\x90" * 64,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("message", CONTROL, ids=lambda m: m.__name__)
def test_hostile_messagepack_is_refused(message: type[Message], body: bytes) -> None:
    if not Record(message).fields and body[:1] in (b"\x91", b"\xdc") and b"\xc4" not in body:
        return  # LIST and ALIVE ignore fields, whatever they are
    with pytest.raises(RemoteProtocolError) as caught:
        decode(bytes([message.kind]) + body)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (control(Open, 0, "a"), "stream is 0, not within 1 to"),
        (control(Open, True, "a"), "stream is not an integer"),
        (control(Open, 1, "a", -1), "start is -1"),
        (control(Open, 1, "a", 0, "xyz"), "prefix is not 16 hex digits"),
        (control(Open, 1, "a", 0, None, None, None, 0), "side is 0"),
        (control(Open, 1, "a", 0, None, None, None, None, -1), "psnr is -1"),
        (control(Open, 1, "a", 0, None, None, None, None, None, 0), "weight is 0"),
        (control(Update, 1, None, None, None, None, 1001), "weight is 1001"),
        (control(Goaway, -1), "wait is -1"),
        (control(Ack, 5, 100), "window is 100"),
        (control(Open, 1, "a", MAX_STREAM + 1), "start is"),
        (control(Open, 1, "a", 0, None, 0), "bytes is 0"),
        (control(Open, 1, "a", 0, None, None, float("nan")), "bpp is nan"),
        (control(Open, 1, "a", 0, None, None, -1.0), "bpp is -1.0"),
        (control(Open, 1, "a", 0, None, None, "x"), "bpp is not a number"),
        (control(Hello, 0, 100, 60.0), "window is 100"),
        (control(Hello, 0, 8192, float("inf")), "idle is inf"),
        (control(Hello, 0, 8192, 60, ["xyz"]), "models is not 8 hex digits"),
        (control(Hello, 0, 8192, 60, ["0a1b2c3d"] * 17), "models has more than 16"),
        (control(Catalogue, [ROW] * (ENTRIES_PER_PAGE + 1), True), "more than 50"),
        (control(Catalogue, [["a", 1, 2]], True), "images fields are missing"),
        (control(Catalogue, [["a", 1, 2, "b"]], True), "images thumbprint is not 16"),
        (control(Catalogue, ["a"], True), "images is not an array"),
        (control(Catalogue, "abc", True), "images is not an array"),
        (control(End, 1, "boredom", 0), "reason is none of complete, target"),
        (control(Error, 1, "x", "two\nlines"), "cannot be printed"),
        (control(Error, 1, "x", "m" * 513), "more than 512"),
        (control(Error, 1, "x", 5), "message is not text"),
        (control(Error, 1, "x", "m", 1), "neither true nor false"),
        (b"\x7f\x90", "unknown type 0x7f"),
    ],
)
def test_fields_out_of_range_are_named(data: bytes, complaint: str) -> None:
    with pytest.raises(RemoteProtocolError, match=complaint):
        decode(data)


@pytest.mark.parametrize(
    "name",
    [
        *("", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/./b", "a\\b", "..\\a"),
        *("a\0b", "a\nb", "a\x7fb", "\u202eb", "x" * 1001, "ä" * 501, "a/../../etc/passwd"),
    ],
)
def test_names_that_are_no_names(name: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(control(Open, 1, name))
    with pytest.raises(LocalProtocolError):
        encode(Open(stream=1, image=name))
    with pytest.raises(RemoteProtocolError):
        decode(control(Catalogue, [[name, *ROW[1:]]], True))


@pytest.mark.parametrize(
    "name", ["a", "a b.png", "2026-11-20T12:00.jpg", "ä/ö.jpg", "...", "x" * 255]
)
def test_names(name: str) -> None:
    assert decode(encode(Open(stream=1, image=name))) == Open(stream=1, image=name)


def test_a_lone_surrogate_is_not_text() -> None:
    with pytest.raises(LocalProtocolError, match="not Unicode"):
        encode(Open(stream=1, image="\ud800"))


def test_every_flipped_bit_of_data_is_noticed() -> None:
    data = encode(Data(stream=1, offset=300, payload=b"payload"))
    for bit in range(8, 8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RemoteProtocolError):
            decode(bytes(damaged))


def test_data_beyond_the_limit_of_a_stream() -> None:
    with pytest.raises(RemoteProtocolError, match="out of range"):
        decode(encode(Data(stream=1, offset=MAX_STREAM, payload=b"x")))
    with pytest.raises(RemoteProtocolError, match="out of range"):
        decode(encode(Data(stream=0, offset=0, payload=b"x")))
    with pytest.raises(RemoteProtocolError, match="out of range"):
        decode(encode(Data(stream=1, offset=0, payload=b"")))
    with pytest.raises(LocalProtocolError, match="do not fit"):
        encode(Data(stream=1, offset=0, payload=bytes(MAX_MESSAGE)))


def test_what_data_costs() -> None:
    message = Data(stream=1, offset=2000, payload=bytes(1024))
    assert len(encode(message)) == data_size(1, 2000, 1024) == 1024 + 8


def test_the_longest_catalogue_page_fits_a_message() -> None:
    entry = dataclasses.replace(ENTRY, name="x" * 255, size=2**53, time=2**53)
    page = Catalogue(images=(entry,) * ENTRIES_PER_PAGE, last=False, changes=True, mark="f" * 16)
    assert len(encode(page)) <= MAX_MESSAGE


def test_what_catalogues_cost() -> None:
    """One that nobody follows is what it was before there was anything to follow."""
    assert encode(List()) == b"\x03\x90"
    assert encode(Catalogue(images=(), last=True)) == b"\x04\x92\x90\xc3"
    page = Catalogue(images=(ENTRY,), last=True, changes=True, mark="f" * 16)
    assert len(encode(page)) == 62
    assert len(encode(Catalogue(images=(), last=True, changes=True, mark="f" * 16))) == 23


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_an_error_of_one_line(data: bytes) -> None:
    try:
        message = decode(data)
    except RemoteProtocolError as error:
        assert "\n" not in str(error)
    else:
        assert decode(encode(message)) == message


@pytest.mark.parametrize("body", [b"\x10\xff", b"\x10\x01\xff", b"\x10" + b"\xff" * 12])
def test_data_with_a_damaged_head_and_the_right_checksum(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="a damaged head"):
        decode(body + crc32c(body).to_bytes(4, "little"))
