"""Freed memory is kept where the C library can be told so, and nothing breaks elsewhere."""

import platform
import subprocess
import sys

import pytest

from diffc_stream import allocation

# In a process of its own: the setting cannot be taken back.
SCRIPT = """
import resource
from diffc_stream.allocation import keep_freed_memory

kept = keep_freed_memory()
bytearray(64_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    bytearray(b"x") * 50_000_000
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(kept, faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_blocks_that_were_freed_are_not_fetched_anew() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    kept, faults = done.stdout.split()
    assert kept == "True"
    # Twenty blocks of 50 MB have 240,000 pages of 4 kB; kept, only the first few are new.
    assert int(faults) < 60_000


HOLES = """
from pathlib import Path
from diffc_stream.allocation import give_back, keep_freed_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

keep_freed_memory()
remembered, blocks = [], []
for _ in range(50):
    blocks.append(bytearray(b"x") * 4_000_000)
    remembered.append(bytearray(b"y") * 4_000)  # between large ones
held = resident()
blocks.clear()
kept = resident()
print(held, kept, give_back(), resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_freed_memory_is_given_back_wherever_it_lies() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    held, kept, given, left = done.stdout.split()
    assert given == "True"
    assert int(kept) > int(held) - 20_000_000
    assert int(left) < int(held) - 150_000_000


def test_it_says_so_where_it_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not allocation.keep_freed_memory()
    assert not allocation.give_back()
