"""What is said of many pictures fits messages, however long their names are."""

from __future__ import annotations

import random

from diffc_stream.session import Catalogue, Entry, encode
from diffc_stream.session.messages import ENTRIES_PER_PAGE, MAX_MESSAGE, MAX_NAME
from diffc_stream.session.paging import starts


def entry(name: str) -> Entry:
    return Entry(name=name, size=2**53, time=2**53, thumbprint="f" * 16)


def test_short_names_fill_pages() -> None:
    assert starts([]) == [0]
    assert starts([entry("a")] * ENTRIES_PER_PAGE) == [0]
    entries = [entry("x" * 255)] * (2 * ENTRIES_PER_PAGE + 1)
    assert starts(entries) == [0, ENTRIES_PER_PAGE, 2 * ENTRIES_PER_PAGE]


def test_pages_of_any_names_are_messages() -> None:
    rng = random.Random(1)
    for _ in range(20):
        items = [
            entry("ä" * rng.randint(1, MAX_NAME // 2)) if rng.random() < 0.7 else "x" * MAX_NAME
            for _ in range(rng.randint(0, 200))
        ]
        begins = starts(items)
        assert begins == sorted(set(begins))
        for start, end in zip(begins, [*begins[1:], len(items)], strict=True):
            page = items[start:end]
            message = Catalogue(
                images=tuple(item for item in page if isinstance(item, Entry)),
                removed=tuple(item for item in page if isinstance(item, str)),
                last=True,
                changes=True,
                mark="f" * 16,
                left_out=2**31 - 1,
            )
            assert len(encode(message)) <= MAX_MESSAGE
            assert len(page) <= ENTRIES_PER_PAGE
