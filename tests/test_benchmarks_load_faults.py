"""What befalls a store: the benchmark finds what is wrong, and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from diffc_benchmarks.load_faults import Faults, Findings, _small_disk


@pytest.fixture
def faults(tmp_path: Path) -> Iterator[Faults]:
    faults = Faults(tmp_path)
    yield faults
    for log in tmp_path.glob("*.log"):
        assert "Traceback" not in log.read_text()


def test_a_flipped_bit_in_a_store_and_a_second_sender(faults: Faults) -> None:
    faults.flip(2)
    found = faults.findings
    assert (found.requests, found.wrong, found.refused) == (4, 0, 0)
    assert found.computed_again == 0
    assert (found.faults, found.alive) == (1, 1)
    assert "damaged data" in found.said["a flipped bit"]


def test_the_log_tells(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("1 INFO it is fine\n2 WARNING the store is full\n3 WARNING it is full\n")
    findings = Findings()
    findings.told("a full disk", log, "full")
    findings.told("rust", log, "rusty")
    assert findings.said == {"a full disk": "the store is full", "rust": "nothing"}


def test_a_small_disk_is_gone_afterwards(tmp_path: Path) -> None:
    with _small_disk(tmp_path / "disk") as disk:
        if disk is None:
            pytest.skip("this user may not mount anything")
        with pytest.raises(OSError, match="No space left"):
            (disk / "large").write_bytes(bytes(100_000))
    assert list((tmp_path / "disk").iterdir()) == []
