"""The grammar: every element reads back as written, and nothing else is accepted."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffc_stream.container import grammar, reference, varint
from diffc_stream.container.grammar import (
    Before,
    Header,
    Kind,
    Simulator,
    Step,
    segments,
)
from diffc_stream.container.reference import (
    DIGEST,
    MOST_NAME,
    MOST_SHIFT,
    MOST_SIZE,
    MOST_TRUST,
    Reference,
)
from diffc_stream.container.varint import Truncated
from diffc_stream.errors import CorruptStream, NotAStream, StreamError, UnsupportedStream

HEADER = Header(model="0a1b2c3d", width=768, height=512, seed=0)

headers = st.builds(
    Header,
    model=st.binary(min_size=4, max_size=4).map(bytes.hex),
    width=st.integers(1, grammar.MAX_SIDE),
    height=st.integers(1, grammar.MAX_SIDE),
    seed=st.integers(0, 2**32 - 1),
)
lengths = st.integers(1, grammar.MAX_LENGTH - 1)
codes = st.integers(0, 255)
simulators = st.sampled_from(Simulator)
steps = st.one_of(
    st.builds(
        Step, kind=st.just(Kind.REFINE), simulator=simulators, length=lengths, delta_code=codes
    ),
    st.builds(Step, kind=st.just(Kind.OPEN), simulator=simulators, length=lengths),
)
befores = st.builds(Before, kind=st.sampled_from(Kind), length=lengths, delta_code=codes)


def test_the_usual_header_has_fifteen_bytes() -> None:
    assert len(HEADER.encode()) == 15


@given(headers, st.binary(max_size=8))
def test_headers_read_back(header: Header, following: bytes) -> None:
    data = header.encode()
    assert Header.parse(data + following) == (header, len(data))


@given(steps, befores, st.binary(max_size=8))
def test_steps_read_back(step: Step, before: Before, following: bytes) -> None:
    data = step.encode(before)
    assert Step.parse(data + following, before, 0) == (step, len(data))


@given(befores, st.integers(grammar.SHORT_OPEN, 0xFF))
def test_a_byte_is_a_step_in_terms_of_those_before_it(before: Before, tag: int) -> None:
    try:
        step, size = Step.parse(bytes([tag]), before, 0)
    except CorruptStream:
        assert (
            before.lengths(Kind.OPEN)[-1] >= grammar.MAX_LENGTH or not 8 <= before.delta_code < 249
        )
        return
    assert size == 1
    assert len(step.encode(before)) == 1
    assert step.kind is (Kind.REFINE if tag >= grammar.SHORT_REFINE else Kind.OPEN)


def test_steps_that_grow_evenly_take_a_byte_each() -> None:
    before = Before()
    for kind, length, code in [
        *((Kind.REFINE, 12, 57), (Kind.REFINE, 12, 62), (Kind.REFINE, 17, 64)),
        *((Kind.OPEN, 40, 0), (Kind.REFINE, 48, 58), (Kind.REFINE, 57, 60), (Kind.REFINE, 68, 62)),
    ]:
        step = Step(kind=kind, length=length, delta_code=code)
        assert len(step.encode(before)) == 1
        before = before.after(step)
    assert len(Step(kind=Kind.REFINE, length=68, delta_code=99).encode(before)) == 3
    assert len(Step(kind=Kind.REFINE, length=999, delta_code=62).encode(before)) == 4


@given(lengths)
def test_short_lengths_ascend_in_even_ratios(length: int) -> None:
    before = Before(length=length)
    refine, open_ = before.lengths(Kind.REFINE), before.lengths(Kind.OPEN)
    assert (len(refine), len(open_)) == (16, 64)
    assert refine[6] == open_[16] == length
    for found, first, per_octave in ((refine, -6, 4), (open_, -16, 8)):
        for place, value in enumerate(found):
            exact = length * 2.0 ** ((place + first) / per_octave)
            assert abs(value - max(1.0, exact)) <= 0.5 + 1e-5 * exact


def test_deltas_are_compared_with_the_last_refinement() -> None:
    before = Before(kind=Kind.REFINE, length=50, delta_code=60)
    assert before.least_delta == 60
    opened = before.after(Step(kind=Kind.OPEN, length=70))
    assert (opened.delta_code, opened.least_delta) == (60, 52)


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
    data[3] = 0x90
    with pytest.raises(UnsupportedStream, match="version 9"):
        Header.parse(bytes(data))
    body = HEADER.encode()[:3] + b"\x17" + HEADER.encode()[4:-2]
    with pytest.raises(UnsupportedStream, match="signal 7"):
        Header.parse(signed(body))


def signed(body: bytes) -> bytes:
    return body + (grammar.crc32c(body) & 0xFFFF).to_bytes(2, "little")


@pytest.mark.parametrize("ratio", [64, 153, 254])
def test_shaped_noise_is_version_2_and_says_its_ratio(ratio: int) -> None:
    header = replace(HEADER, ratio=ratio)
    data = header.encode()
    assert (data[3], data[-3], len(data)) == (0x20, ratio, len(HEADER.encode()) + 1)
    assert Header.parse(data + b"more") == (header, len(data))
    for size in range(len(data)):
        with pytest.raises(Truncated):
            Header.parse(data[:size])


def test_white_noise_is_version_1_and_says_nothing_of_it() -> None:
    assert HEADER.encode()[3] == 0x10
    assert Header.parse(HEADER.encode())[0].ratio == grammar.WHITE_RATIO
    assert grammar.ratio(grammar.WHITE_RATIO) == 1
    assert grammar.ratio(153) == 0.6


@pytest.mark.parametrize("ratio", [0, 63, 255])
def test_other_ratios_are_corrupt(ratio: int) -> None:
    body = replace(HEADER, ratio=153).encode()[:-3]
    with pytest.raises(CorruptStream, match=f"a ratio of {ratio}"):
        Header.parse(signed(body + bytes([ratio])))


def test_a_picture_without_pixels_is_corrupt() -> None:
    with pytest.raises(CorruptStream, match="0x512"):
        Header.parse(Header(model="00000000", width=0, height=512, seed=0).encode())


def test_streams_of_version_0_are_called_so() -> None:
    with pytest.raises(UnsupportedStream, match="version 0"):
        Header.parse(b"DFC\x00\x00\x25\xed\x2a\x30\x40\x40\x00\x0d\xb4")


@pytest.mark.parametrize("tag", [0x00, 0x0F, 0x30, 0x3F])
def test_no_step_starts_with_another_tag(tag: int) -> None:
    with pytest.raises(CorruptStream, match="no record"):
        Step.parse(bytes([tag, 1, 1]), Before(), 0)


def test_an_unknown_simulator_is_unsupported() -> None:
    with pytest.raises(UnsupportedStream, match="simulator 5"):
        Step.parse(b"\x15\x01\x01", Before(), 0)


@given(st.integers(1, 200_000))
def test_segments_are_few_and_equal(length: int) -> None:
    sizes = list(segments(length))
    assert sum(sizes) == length
    assert max(sizes) <= grammar.LONGEST_SEGMENT
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-length // grammar.LONGEST_SEGMENT)


def test_deltas_are_exact_and_pinned() -> None:
    assert grammar.delta(64) == 1.0
    assert grammar.delta(0) == 2.0**-16
    assert grammar.delta(66) == 1482910 / 2**20
    values = [grammar.delta(code) for code in range(256)]
    assert values == sorted(values)
    assert all(1.1892 < b / a < 1.1893 for a, b in itertools.pairwise(values))


@given(st.integers(0, 255))
def test_the_nearest_delta_of_a_delta_is_itself(code: int) -> None:
    assert grammar.nearest_delta(grammar.delta(code)) == code


@given(st.integers(0, 2**35 - 1))
def test_varints_read_back(value: int) -> None:
    data = varint.encode_varint(value)
    assert varint.parse_varint(data, 0) == (value, len(data))


def test_an_endless_varint_is_corrupt() -> None:
    with pytest.raises(CorruptStream):
        varint.parse_varint(b"\xff" * 9, 0)


def test_crc32c_gives_the_published_check_value() -> None:
    assert grammar.crc32c(b"123456789") == 0xE3069283
    assert grammar.crc32c(b"56789", grammar.crc32c(b"1234")) == 0xE3069283


@pytest.mark.parametrize("length", [0, grammar.MAX_LENGTH])
def test_a_step_of_no_length_or_of_too_many_bytes(length: int) -> None:
    data = bytes([Kind.OPEN | Simulator.TRELLIS]) + varint.encode_varint(length) + bytes(9)
    with pytest.raises(CorruptStream, match=f"a step of {length} bytes"):
        Step.parse(data, Before(), 40)


def padded(value: int) -> bytes:
    """Return ``value`` in as many bytes as a varint may have."""
    kept = [value >> 7 * index & 0x7F for index in range(varint.LONGEST_VARINT)]
    return bytes([0x80 | bits for bits in kept[:-1]] + kept[-1:])


def test_the_longest_header(monkeypatch: pytest.MonkeyPatch) -> None:
    named = Reference(
        size=MOST_SIZE,
        digest=bytes(DIGEST),
        name="n" * MOST_NAME,
        shift=(-MOST_SHIFT, MOST_SHIFT),
        cut=(MOST_SHIFT, MOST_SHIFT),
        trust=bytes(MOST_TRUST),
    )
    side = grammar.MAX_SIDE
    header = Header(
        model="0a1b2c3d",
        width=side,
        height=side,
        seed=2**32 - 1,
        ratio=200,
        about=True,
        reference=named,
    )
    data = header.encode()
    assert MOST_TRUST + MOST_NAME < len(data) <= grammar.MOST_HEADER
    assert Header.parse(data) == (header, len(data))
    # Numbers may take more bytes than they need.
    monkeypatch.setattr(grammar, "encode_varint", padded)
    monkeypatch.setattr(reference, "encode_varint", padded)
    longest = header.encode()
    assert len(longest) == grammar.MOST_HEADER
    assert Header.at(longest) == header
    assert Header.at(longest[:-1]) is None
