"""Bulk beside a loop, on a few tiny pictures."""

from __future__ import annotations

import json

import pytest

from diffc_benchmarks.bulk import main


def test_streams_are_equal(capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "--pictures",
        "2",
        "--side",
        "16",
        "--bpp",
        "4",
        "--workers",
        "1",
        "--many",
        "5",
        "--json",
    ]
    assert main(command) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["equal"]
    assert (record["pictures"], record["many"]) == (2, 5)
    assert record["many_megabytes"] > 0
