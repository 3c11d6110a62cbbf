"""What a header says of the picture that a stream starts from."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffc_stream.container import Header, Reference, StreamReader
from diffc_stream.container import reference as module
from diffc_stream.container.reference import digest
from diffc_stream.container.varint import Truncated
from diffc_stream.errors import CorruptStream, StreamError, UnsupportedStream

REFERENCE = Reference(
    size=1024, digest=bytes(range(8)), name="one.webp", shift=(3, -5), trust=b"\x47\x66\x80"
)
HEADER = Header(
    model="0a1b2c3d", width=768, height=512, seed=0, ratio=153, about=True, reference=REFERENCE
)
shifts = st.integers(-module.MOST_SHIFT, module.MOST_SHIFT)
cuts = st.integers(0, module.MOST_SHIFT)
references = st.builds(
    Reference,
    size=st.integers(1, module.MOST_SIZE),
    digest=st.binary(min_size=8, max_size=8),
    name=st.text(max_size=60),
    shift=st.tuples(shifts, shifts),
    cut=st.tuples(cuts, cuts),
    trust=st.binary(min_size=1, max_size=300),
)


@given(references, st.binary(max_size=8))
def test_headers_read_back(reference: Reference, following: bytes) -> None:
    header = replace(HEADER, reference=reference)
    data = header.encode()
    assert header.version == 4
    assert Header.parse(data + following) == (header, len(data))


def test_a_reference_takes_a_few_bytes() -> None:
    plain = replace(HEADER, reference=None)
    assert len(HEADER.encode()) - len(plain.encode()) == 2 + 8 + 1 + 8 + 2 + 2 + 1 + 3


def test_any_beginning_is_incomplete() -> None:
    data = HEADER.encode()
    for length in range(4, len(data)):
        with pytest.raises(Truncated):
            Header.parse(data[:length])
        assert not list(StreamReader().feed(data[:length]))
    assert list(StreamReader().feed(data)) == [HEADER]


def test_any_damage_is_found() -> None:
    data = HEADER.encode()
    for place in range(4, len(data)):
        damaged = data[:place] + bytes([data[place] ^ 0x11]) + data[place + 1 :]
        with pytest.raises((StreamError, Truncated)):
            Header.parse(damaged)


@pytest.mark.parametrize(
    "reference",
    [
        replace(REFERENCE, size=0),
        replace(REFERENCE, size=module.MOST_SIZE + 1),
        replace(REFERENCE, shift=(0, module.MOST_SHIFT + 1)),
        replace(REFERENCE, cut=(module.MOST_SHIFT + 1, 0)),
        replace(REFERENCE, trust=b""),
        replace(REFERENCE, trust=bytes(module.MOST_TRUST + 1)),
    ],
)
def test_what_is_out_of_range_is_refused(reference: Reference) -> None:
    with pytest.raises(CorruptStream):
        Header.parse(replace(HEADER, reference=reference).encode())


def test_white_noise_cannot_start_from_a_reference() -> None:
    with pytest.raises(CorruptStream, match="a ratio of 255"):
        Header.parse(replace(HEADER, ratio=255).encode())


def test_the_next_version_is_refused_by_name() -> None:
    data = bytearray(HEADER.encode())
    data[3] = 0x60
    with pytest.raises(UnsupportedStream, match="version 6; this release reads versions 1 to 5"):
        Header.parse(bytes(data))


def test_bytes_are_recognised() -> None:
    data = b"a picture"
    reference = replace(REFERENCE, size=len(data), digest=digest(data))
    assert reference.matches(data)
    assert reference.matches(data + b" that is longer")
    assert not reference.matches(data[:-1])
    assert not reference.matches(b"A picture")


def test_words_for_people_have_no_controls() -> None:
    assert REFERENCE.told == "one.webp, 1,024 bytes whose SHA-256 begins with 0001020304050607"
    assert "\x1b" not in replace(REFERENCE, name="\x1b[31mred").told
    assert replace(REFERENCE, name="").told.startswith("1,024 bytes")


def test_a_name_that_is_not_text_is_read_as_something() -> None:
    body = bytearray(REFERENCE.encode())
    place = body.index(b"one.webp")
    body[place] = 0xFF
    assert Reference.parse(bytes(body), 0)[0].name == "�ne.webp"
