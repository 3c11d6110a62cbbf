"""What is printed of a picture, whatever its sender says of it."""

from __future__ import annotations

import pytest

from diffc_client.cli.list import line, moment
from diffc_stream.session import Entry


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "1970-01-01 00:00:00"),
        (1_700_000_000, "2023-11-14 22:13:20"),
        (253_402_300_799, "9999-12-31 23:59:59"),
        (253_402_300_800, "@253402300800"),
        (2**53, "@9007199254740992"),
        (-(2**60), f"@-{2**60}"),
    ],
)
def test_any_time_can_be_said(seconds: int, said: str) -> None:
    assert moment(seconds) == said


def test_columns_stay_in_line() -> None:
    lines = [
        line(Entry(name="a.png", size=size, time=time, thumbprint="0" * 16))
        for size, time in ((1, 0), (10**9 - 1, 2**53))
    ]
    assert len({text.index("a.png") for text in lines}) == 1
