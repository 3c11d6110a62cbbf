"""The grammar: every element reads back as written, and nothing else is accepted."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffc_stream.container import grammar
from diffc_stream.container.grammar import Header, Kind, Step, Truncated, segments
from diffc_stream.errors import CorruptStream, NotAStream, StreamError, UnsupportedStream

HEADER = Header(model="0a1b2c3d", width=768, height=512, seed=0)

headers = st.builds(
    Header,
    model=st.binary(min_size=4, max_size=4).map(bytes.hex),
    width=st.integers(1, grammar.MAX_SIDE),
    height=st.integers(1, grammar.MAX_SIDE),
    seed=st.integers(0, 2**32 - 1),
)
steps = st.one_of(
    st.builds(
        Step,
        kind=st.just(Kind.REFINE),
        length=st.integers(1, grammar.MAX_LENGTH - 1),
        delta_code=st.integers(0, 255),
    ),
    st.builds(Step, kind=st.just(Kind.OPEN), length=st.integers(1, grammar.MAX_LENGTH - 1)),
)


def test_the_usual_header_has_sixteen_bytes() -> None:
    assert len(HEADER.encode()) == 16


@given(headers, st.binary(max_size=8))
def test_headers_read_back(header: Header, following: bytes) -> None:
    data = header.encode()
    assert Header.parse(data + following) == (header, len(data))


@given(steps, st.binary(max_size=8))
def test_steps_read_back(step: Step, following: bytes) -> None:
    data = step.encode()
    assert Step.parse(data + following, 0) == (step, len(data))


@given(headers)
def test_a_header_cut_short_wants_more(header: Header) -> None:
    data = header.encode()
    for size in range(len(data)):
        with pytest.raises(Truncated):
            Header.parse(data[:size])


def test_every_flipped_bit_of_a_header_is_noticed() -> None:
    data = HEADER.encode()
    for place in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises((StreamError, Truncated)):
            Header.parse(bytes(damaged))


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"D", b"DFx", b"DGC"])
def test_foreign_bytes_are_called_so(data: bytes) -> None:
    with pytest.raises((NotAStream, Truncated)):
        Header.parse(data)
    if not b"DFC".startswith(data):
        with pytest.raises(NotAStream):
            Header.parse(data)


def test_another_version_or_signal_is_unsupported() -> None:
    data = bytearray(HEADER.encode())
    data[3] = 9
    with pytest.raises(UnsupportedStream, match="version 9"):
        Header.parse(bytes(data))
    body = HEADER.encode()[:4] + b"\x07" + HEADER.encode()[5:-2]
    with pytest.raises(UnsupportedStream, match="signal 7"):
        Header.parse(body + (grammar.crc32c(body) & 0xFFFF).to_bytes(2, "little"))


def test_a_picture_without_pixels_is_corrupt() -> None:
    with pytest.raises(CorruptStream, match="0x512"):
        Header.parse(Header(model="00000000", width=0, height=512, seed=0).encode())


@pytest.mark.parametrize("tag", [0x00, 0x30, 0x40, 0xFF])
def test_no_step_starts_with_another_tag(tag: int) -> None:
    with pytest.raises(CorruptStream, match="no record"):
        Step.parse(bytes([tag, 1, 1]), 0)


def test_an_unknown_simulator_is_unsupported() -> None:
    with pytest.raises(UnsupportedStream, match="simulator 5"):
        Step.parse(b"\x15\x01\x01", 0)


@given(st.integers(1, 200_000))
def test_segments_are_few_and_equal(length: int) -> None:
    sizes = segments(length)
    assert sum(sizes) == length
    assert max(sizes) <= grammar.LONGEST_SEGMENT
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-length // grammar.LONGEST_SEGMENT)


def test_deltas_are_exact_and_pinned() -> None:
    assert grammar.delta(128) == 1.0
    assert grammar.delta(0) == 2.0**-16
    assert grammar.delta(132) == 1482910 / 2**20
    values = [grammar.delta(code) for code in range(256)]
    assert values == sorted(values)
    assert all(1.09 < b / a < 1.0906 for a, b in itertools.pairwise(values))


@given(st.integers(0, 255))
def test_the_nearest_delta_of_a_delta_is_itself(code: int) -> None:
    assert grammar.nearest_delta(grammar.delta(code)) == code


@given(st.integers(0, 2**35 - 1))
def test_varints_read_back(value: int) -> None:
    data = grammar.encode_varint(value)
    assert grammar.parse_varint(data, 0) == (value, len(data))


def test_an_endless_varint_is_corrupt() -> None:
    with pytest.raises(CorruptStream):
        grammar.parse_varint(b"\xff" * 9, 0)


def test_crc32c_gives_the_published_check_value() -> None:
    assert grammar.crc32c(b"123456789") == 0xE3069283
    assert grammar.crc32c(b"56789", grammar.crc32c(b"1234")) == 0xE3069283
