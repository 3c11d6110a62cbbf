"""The writer knows beforehand what a step will cost."""

import pytest

from diffc_stream.container import Header, Kind, Step, StreamWriter


@pytest.mark.parametrize("checked", [False, True])
def test_the_size_foretold_is_the_size_written(checked: bool) -> None:
    writer = StreamWriter()
    writer.header(Header(model="00112233", width=64, height=64, seed=3))
    for length in (1, 30, 400, 60, 127, 128, 511, 512, 513, 2000, 20_000):
        step = Step(kind=Kind.REFINE, length=length, delta_code=9)
        foretold, before = writer.size(step, checked=checked), writer.written
        writer.step(step, bytes(length))
        if checked:
            writer.check()
        assert writer.written - before == foretold


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
