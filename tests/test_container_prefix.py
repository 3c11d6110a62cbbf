"""A prefix in records: what is there wholly, what is begun, and whether it is what follows."""

from dataclasses import replace

import pytest

from diffc_stream.container import (
    Clip,
    Header,
    Kind,
    Motion,
    Prefix,
    Second,
    Simulator,
    Step,
    StreamWriter,
)
from diffc_stream.errors import PrefixMismatch

HEADER = Header(model="00112233", width=640, height=480, seed=3)
STEPS = (
    Step(kind=Kind.REFINE, length=300, delta_code=9),
    Step(kind=Kind.OPEN, simulator=Simulator.DITHER, length=700),
    Step(kind=Kind.REFINE, length=750, delta_code=12),
)


def pieces() -> list[bytes]:
    writer = StreamWriter()
    out = [writer.header(HEADER)]
    for step in STEPS:
        out.append(writer.step(step, bytes(range(100)) * 10))
        if step is STEPS[0]:
            out.append(writer.check())
    return out


WHOLE = b"".join(pieces())


def test_a_prefix_of_any_length_is_settled_and_begun() -> None:
    head, first, check, second, _ = (len(piece) for piece in pieces())
    starts = [head, head + first + check, head + first + check + second]
    for length in range(len(WHOLE)):
        prefix = Prefix(WHOLE[:length])
        assert (prefix.header is None) == (length < head)
        steps = [record for record in prefix.records if isinstance(record, tuple)]
        for (step, payload), whole in zip(steps, STEPS, strict=False):
            assert (step, len(payload)) == (whole, whole.length)
        begun = prefix.begun
        if begun is not None:
            assert prefix.settled == starts[len(steps)] < length
            assert (begun.kind, begun.simulator) == (
                STEPS[len(steps)].kind,
                STEPS[len(steps)].simulator,
            )
            assert begun.length in (None, STEPS[len(steps)].length)
            assert begun.length or length - prefix.settled < 4
        elif length >= head:
            # Nothing is begun between two steps, nor within a check there.
            assert prefix.settled + 2 >= length
    assert Prefix(b"").header is None


def test_what_follows_is_yielded_however_it_is_cut() -> None:
    for length in (0, 1, 5, 13, 14, 200, 330, 900, len(WHOLE)):
        beyond = list(Prefix(WHOLE[:length]).beyond(iter(pieces())))
        assert len(beyond) == len(pieces())
        assert b"".join(beyond) == WHOLE[length:]


@pytest.mark.parametrize("changed", [0, 100, 599])
def test_what_differs_is_told_before_anything_follows(changed: int) -> None:
    prefix = Prefix(WHOLE[:600])
    other = bytearray(WHOLE)
    other[changed] ^= 1
    beyond = prefix.beyond(iter([bytes(other[:50]), bytes(other[50:])]))
    with pytest.raises(PrefixMismatch, match=f"first {prefix.settled} bytes"):
        assert next(beyond) == next(beyond) == b""


def test_a_stream_that_ends_before_the_prefix_is_another() -> None:
    with pytest.raises(PrefixMismatch, match="differently"):
        list(Prefix(WHOLE[:600]).beyond(iter([WHOLE[:500]])))


def test_what_is_no_sound_stream_is_refused() -> None:
    damaged = bytearray(WHOLE)
    damaged[200] ^= 1
    for data in (b"GIF89a", b"DFC\x90" + WHOLE[4:], bytes(damaged), HEADER.encode() + b"\x07"):
        with pytest.raises(PrefixMismatch, match=r"cannot be extended: .*"):
            Prefix(data)


def test_a_clip_is_refused_wherever_it_is_cut() -> None:
    clip = Clip(pictures=2, milliseconds=80, stride=1)
    header = Header(model="00112233", width=64, height=64, seed=0, ratio=200, about=True, clip=clip)
    writer = StreamWriter()
    data = writer.header(header)
    head = len(data)
    data += writer.step(Step(kind=Kind.REFINE, length=12, delta_code=54), bytes(12))
    data += writer.turn(1)
    data += writer.told(Motion(source=0, vectors=bytes(9)))
    data += writer.told(Second(earlier=True, later=False, trust=bytes(9)))
    for length in range(head, len(data) + 1):
        with pytest.raises(PrefixMismatch, match="cannot be extended: it has several pictures"):
            Prefix(data[:length])


def test_headers_that_differ_say_in_what() -> None:
    for header, says in (
        (Header(model="00112234", width=640, height=480, seed=3), "model 00112233, not 00112234"),
        (Header(model="00112233", width=480, height=640, seed=3), "640x480, not 480x640"),
        (Header(model="00112233", width=640, height=480, seed=4), "seed 3, not 4"),
        (replace(HEADER, ratio=153), "ratio 255, not 153"),
    ):
        with pytest.raises(PrefixMismatch, match=says):
            Prefix(WHOLE).check(header)
        with pytest.raises(PrefixMismatch, match="does not begin a stream of this picture"):
            Prefix(header.encode()[:-1]).check(HEADER)
    for length in range(40):
        Prefix(WHOLE[:length]).check(HEADER)
