"""Range headers and entity tags."""

from __future__ import annotations

import pytest

from diffc_server.http.ranges import Range, names


@pytest.mark.parametrize(
    ("value", "first", "last"),
    [
        ("bytes=0-999", 0, 999),
        ("bytes=5-5", 5, 5),
        ("bytes=5-", 5, None),
        ("bytes=-5", None, 5),
        ("bytes=-0", None, 0),
        ("Bytes= 007-9\t", 7, 9),
        (f"bytes=0-{'9' * 99}", 0, int("9" * 99)),
    ],
)
def test_ranges(value: str, first: int | None, last: int | None) -> None:
    assert Range.parse(value) == Range(first=first, last=last)


@pytest.mark.parametrize(
    "value",
    [
        *("", "bytes", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "bytes=--5", "bytes=1-2-3"),
        *("bytes=0-1,3-4", "bytes=0-1,", "pixels=0-1", "bytes 0-1", "bytes=+1-2", "bytes=1 - 2"),
        *("bytes=\u0661-2", f"bytes=0-{'9' * 100}", "bytes=0x1-2", "bytes=0-1\n"),
    ],
)
def test_what_is_ignored(value: str) -> None:
    assert Range.parse(value) is None


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("bytes=0-", range(100)),
        ("bytes=10-19", range(10, 20)),
        ("bytes=10-1000", range(10, 100)),
        ("bytes=99-", range(99, 100)),
        ("bytes=-1", range(99, 100)),
        ("bytes=-1000", range(100)),
        ("bytes=100-", None),
        ("bytes=-0", None),
    ],
)
def test_what_there_is_of_a_range(value: str, found: range | None) -> None:
    asked = Range.parse(value)
    assert asked is not None
    assert asked.within(100) == found
    assert asked.within(0) is None


@pytest.mark.parametrize("value", ["bytes=0-", "bytes=7-", "bytes=-7", f"bytes=7-{2**26 - 1}"])
def test_what_goes_on_to_the_end(value: str) -> None:
    asked = Range.parse(value)
    assert asked is not None
    assert asked.open


def test_what_ends_before() -> None:
    asked = Range.parse(f"bytes=7-{2**26 - 2}")
    assert asked is not None
    assert not asked.open


@pytest.mark.parametrize(
    ("condition", "strongly", "weakly"),
    [
        ('"a"', True, True),
        ('W/"a"', False, True),
        ('"b", W/"c" ,"a"', True, True),
        ('"b"', False, False),
        ("a", False, False),
        ('"aa"', False, False),
        ("", False, False),
        ("Sat, 21 Nov 2026 08:00:00 GMT", False, False),
    ],
)
def test_tags(condition: str, strongly: bool, weakly: bool) -> None:
    assert names(condition, '"a"', weakly=False) is strongly
    assert names(condition, '"a"', weakly=True) is weakly
