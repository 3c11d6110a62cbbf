"""The writer knows beforehand what a step will cost."""

import pytest

from diffc_stream.container import (
    Header,
    Kind,
    Payload,
    Prefix,
    Step,
    StreamReader,
    StreamWriter,
)


def begun() -> StreamWriter:
    writer = StreamWriter()
    writer.header(Header(model="00112233", width=64, height=64, seed=3))
    return writer


def test_the_size_foretold_is_the_size_written() -> None:
    writer = begun()
    for length in (1, 30, 400, 60, 127, 128, 511, 512, 513, 2000, 20_000):
        step = Step(kind=Kind.REFINE, length=length, delta_code=9)
        foretold, before = writer.size(step), writer.written
        writer.step(step, bytes(length))
        assert writer.written - before == foretold


@pytest.mark.parametrize("length", [3, 600, 1700])
def test_a_step_can_be_cut_anywhere(length: int) -> None:
    step, payload = Step(kind=Kind.REFINE, length=length, delta_code=9), bytes(range(100)) * 17
    whole = begun().step(step, payload[:length])
    for size in range(0, len(whole) + 1, 1 if length < 9 else 31):
        writer = begun()
        header, before = writer.written, writer.payload
        data, contained = writer.cut(step, payload[:length], size)
        assert data == whole[:size]
        assert writer.written == header + size
        assert writer.payload - before == contained
        reader = StreamReader()
        list(reader.feed(Header(model="00112233", width=64, height=64, seed=3).encode()))
        got = b"".join(e.data for e in reader.feed(data) if isinstance(e, Payload))
        assert got == payload[:contained]


def test_payload_and_side_information_are_told_apart() -> None:
    writer = StreamWriter()
    header = writer.header(Header(model="00112233", width=64, height=64, seed=3))
    step = writer.step(Step(kind=Kind.OPEN, length=40), bytes(40))
    assert (writer.written, writer.payload) == (len(header) + len(step), 40)
    assert len(step) == 41


def test_no_check_follows_a_check() -> None:
    writer = StreamWriter()
    writer.header(Header(model="00112233", width=64, height=64, seed=3))
    assert len(writer.check()) == 3
    assert writer.check() == b""


def test_records_that_were_read_are_written_the_same() -> None:
    """So a writer is brought to where a stream ends by writing what is in it."""
    writer = begun()
    data = Header(model="00112233", width=64, height=64, seed=3).encode()
    for kind, length in ((Kind.REFINE, 30), (Kind.OPEN, 700), (Kind.REFINE, 1700)):
        data += writer.step(Step(kind=kind, length=length, delta_code=50), bytes(length))
        data += writer.check() if length == 30 else b""
    prefix, again = Prefix(data), StreamWriter()
    assert prefix.header is not None
    copy = again.header(prefix.header)
    for record in prefix.records:
        copy += again.step(*record) if isinstance(record, tuple) else again.check()
    assert copy == data
    assert (again.written, again.payload) == (writer.written, writer.payload)
    later = Step(kind=Kind.REFINE, length=600, delta_code=50)
    assert again.step(later, bytes(600)) == writer.step(later, bytes(600))
