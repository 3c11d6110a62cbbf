"""The reader gives the same events however a stream is cut, and notices damage."""

import contextlib
import itertools
import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffc_stream.container import (
    Check,
    Header,
    Kind,
    Lost,
    Payload,
    Step,
    StreamReader,
    StreamWriter,
    verified,
)
from diffc_stream.container.grammar import MAX_LENGTH
from diffc_stream.container.reader import Event
from diffc_stream.errors import CorruptStream, DiffcError, NotAStream, StreamError

STEPS = [
    (Step(kind=Kind.REFINE, length=20, delta_code=56), bytes(range(20))),
    (Step(kind=Kind.OPEN, length=700), bytes(700)),
    (Step(kind=Kind.REFINE, length=1600, delta_code=50), bytes(range(200)) * 8),
]


def written() -> tuple[bytes, list[int]]:
    """Return a stream and where its steps end."""
    writer = StreamWriter()
    data = writer.header(Header(model="00112233", width=64, height=64, seed=3))
    ends = []
    for step, payload in STEPS:
        data += writer.step(step, payload)
        ends.append(len(data))
    data += writer.check()
    assert writer.written == len(data)
    return data, ends


STREAM, ENDS = written()


def joined(events: Iterable[Event]) -> list[Event]:
    """Join neighbouring payloads, which may be cut anywhere, and drop where checks stand."""
    result: list[Event] = []
    for event in events:
        if isinstance(event, Payload) and result and isinstance(result[-1], Payload):
            result[-1] = Payload(result[-1].data + event.data)
        elif not isinstance(event, Check):
            result.append(event)
    return result


def test_a_stream_reads_back() -> None:
    events = joined(StreamReader().feed(STREAM))
    assert isinstance(events[0], Header)
    assert [e for e in events if isinstance(e, Step)] == [step for step, _ in STEPS]
    assert [e.data for e in events if isinstance(e, Payload)] == [data for _, data in STEPS]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 400), max_size=30))
def test_it_does_not_matter_how_it_is_cut(sizes: list[int]) -> None:
    reader, events, place = StreamReader(), [], 0
    for size in [*sizes, len(STREAM)]:
        events += list(reader.feed(STREAM[place : place + size]))
        place += size
    assert joined(events) == joined(StreamReader().feed(STREAM))


def test_byte_by_byte() -> None:
    reader = StreamReader()
    events = [event for byte in STREAM for event in reader.feed(bytes([byte]))]
    assert joined(events) == joined(StreamReader().feed(STREAM))
    assert (reader.received, reader.offset, reader.verified) == (len(STREAM),) * 3


def test_every_prefix_reads_without_an_error_and_is_all_to_be_used() -> None:
    for size in range(len(STREAM) + 1):
        assert verified(STREAM[:size]) == (STREAM[:size], None)


def test_at_most_a_kilobyte_goes_unchecked() -> None:
    checks = [e.offset for e in StreamReader().feed(STREAM) if isinstance(e, Check)]
    places = [0, *checks]
    assert max(b - a for a, b in itertools.pairwise(places)) <= 1024
    assert len(STREAM) - checks[-1] == 3


def test_every_flipped_bit_is_noticed_and_what_came_before_is_kept() -> None:
    for place in range(0, 8 * len(STREAM), 37):
        damaged = bytearray(STREAM)
        damaged[place // 8] ^= 1 << place % 8
        try:
            good, error = verified(bytes(damaged))
        except DiffcError:
            assert place // 8 < 13  # in the header
            continue
        if error is None:
            # A flip in a length can make the stream seem to end early, never to say more.
            assert StreamReader().feed(good) is not None
            continue
        assert len(good) <= place // 8
        assert STREAM.startswith(good)


def test_a_failed_check_says_where_it_stands() -> None:
    damaged = bytearray(STREAM)
    damaged[100] ^= 1
    with pytest.raises(CorruptStream, match="damaged") as caught:
        list(StreamReader().feed(bytes(damaged)))
    assert 100 < caught.value.offset < 1100


def test_with_damaged_reading_goes_on_and_later_checks_judge_later_bytes() -> None:
    damaged = bytearray(STREAM)
    damaged[100] ^= 1
    reader = StreamReader(damaged=True)
    events = list(reader.feed(bytes(damaged)))
    assert reader.verified <= 100  # good bytes after bad ones do not make these good
    checks = [event.good for event in events if isinstance(event, Check)]
    assert checks == [False] + [True] * (len(checks) - 1)
    assert len(checks) > 2


def test_a_missing_check_is_damage() -> None:
    first = next(e for e in StreamReader().feed(STREAM) if isinstance(e, Check)).offset
    with pytest.raises(CorruptStream, match="check should stand"):
        list(StreamReader().feed(STREAM[:first] + b"\x11" + STREAM[first + 3 :]))


def test_foreign_bytes_are_refused_at_once() -> None:
    with pytest.raises(NotAStream):
        list(StreamReader().feed(b"GIF89a"))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_garbage_after_a_header_gives_events_or_one_of_our_errors(data: bytes, go_on: bool) -> None:
    reader = StreamReader(damaged=go_on)
    try:
        for _ in reader.feed(STREAM[:13] + data):
            pass
    except DiffcError as error:
        assert "\n" not in str(error)


def test_a_claim_of_a_quarter_of_a_gigabyte_costs_nothing() -> None:
    writer = StreamWriter()
    header = writer.header(Header(model="0f0f0f0f", width=64, height=64, seed=0))
    claim = Step(kind=Kind.REFINE, length=MAX_LENGTH - 1).encode(writer.before)
    tracemalloc.start()
    try:
        events = list(StreamReader().feed(header + claim + b"payload"))
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()
    assert [type(event) for event in events] == [Header, Step, Payload]


def gaps(data: bytes, lost: list[tuple[int, int]]) -> list[Event]:
    """Read a stream of which parts are lost."""
    events: list[Event] = []
    reader, place = StreamReader(), 0
    for first, end in [*lost, (len(data), len(data))]:
        events += reader.feed(data[place:first])
        events += reader.skip(end - first) if end > first else []
        place = end
    assert reader.offset == reader.received == len(data)
    return events


def test_lost_payload_is_read_over() -> None:
    data, ends = written()
    whole = list(StreamReader().feed(data))
    events = gaps(data, [(ends[0] - 15, ends[0] - 5), (ends[1] - 300, ends[1] - 299)])
    kept = [event for event in events if isinstance(event, (Header, Step, Check))]
    assert kept == [event for event in whole if isinstance(event, (Header, Step, Check))]
    assert [event for event in events if isinstance(event, Lost)] == [Lost(10), Lost(1)]


@given(st.integers(60, 2300), st.integers(1, 600))
def test_a_step_is_as_long_as_it_says_whatever_is_lost_of_it(first: int, size: int) -> None:
    data, _ = written()
    try:
        events = gaps(data, [(first, min(first + size, len(data) - 20))] if size > 0 else [])
    except StreamError:  # a description is lost
        return
    lengths: list[int] = []
    for event in events:
        if isinstance(event, Step):
            lengths.append(0)
        elif isinstance(event, Payload):
            lengths[-1] += len(event.data)
        elif isinstance(event, Lost):
            assert event.size > 0
            lengths[-1] += event.size
    assert lengths == [step.length for step, _ in STEPS]


def test_what_cannot_be_checked_is_not_verified() -> None:
    data, ends = written()
    reader = StreamReader()
    list(reader.feed(data[: ends[0] - 5]))
    list(reader.skip(5))
    list(reader.feed(data[ends[0] :]))
    assert reader.header is not None
    assert reader.verified == len(reader.header.encode())


def test_a_lost_check_is_passed_over() -> None:
    data, _ = written()
    [check, *_] = [event for event in StreamReader().feed(data) if isinstance(event, Check)]
    for first in range(check.offset - 1, check.offset + 3):
        events = gaps(data, [(first, first + 1)])
        assert next(event for event in events if isinstance(event, Check)) == check


@pytest.mark.parametrize("lost", [(0, 5), (5, 20), (12, 14), (13, 14)])
def test_what_says_what_follows_cannot_be_lost(lost: tuple[int, int]) -> None:
    data, _ = written()
    with pytest.raises(StreamError):
        gaps(data, [lost])


@given(st.integers(0, 2600), st.integers(1, 600))
def test_a_branch_goes_its_own_way(cut: int, size: int) -> None:
    data, _ = written()
    reader = StreamReader()
    list(reader.feed(data[:cut]))
    other = reader.branch()
    with contextlib.suppress(StreamError):
        list(other.skip(size))
    rest = list(reader.feed(data[cut:]))
    twin = StreamReader()
    list(twin.feed(data[:cut]))
    assert list(twin.feed(data[cut:])) == rest
    assert reader.verified == twin.verified == len(data)
