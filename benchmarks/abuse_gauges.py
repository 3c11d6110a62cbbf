"""What a daemon takes of the machine, looked at all the time (Linux: from /proc)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_BLOCK = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a process holds at a moment."""

    memory: int = 0
    """Bytes resident."""
    descriptors: int = 0
    threads: int = 0
    log_bytes: int = 0
    log_lines: int = 0

    @property
    def alive(self) -> bool:
        """The process is there."""
        return self.threads > 0


@dataclass(slots=True)
class Gauge:
    """Looks at one process and its log."""

    pid: int
    log: Path
    before: Reading = field(default_factory=Reading)
    """When the pressure began."""
    peak: Reading = field(default_factory=Reading)
    """The most of each, since then."""
    last: Reading = field(default_factory=Reading)
    _read: int = 0
    _lines: int = 0

    def look(self) -> Reading:
        """Look now."""
        self._count()
        memory = descriptors = threads = 0
        home = Path(f"/proc/{self.pid}")
        try:
            memory = int((home / "statm").read_text().split()[1]) * _PAGE
            descriptors = sum(1 for _ in (home / "fd").iterdir())
            status = (home / "status").read_text()
            threads = int(status.partition("\nThreads:")[2].split()[0])
        except (OSError, IndexError):
            memory = descriptors = threads = 0  # it has ended, or is about to be buried
        self.last = Reading(
            memory=memory,
            descriptors=descriptors,
            threads=threads,
            log_bytes=self._read,
            log_lines=self._lines,
        )
        self.peak = _each(max, self.peak, self.last)
        return self.last

    def begin(self) -> None:
        """Take what is there now for what was before."""
        self.before = self.peak = self.look()

    def facts(self) -> dict[str, object]:
        """Return before, peak and last of each."""
        before, peak, last = asdict(self.before), asdict(self.peak), asdict(self.last)
        rows: dict[str, object] = {
            name.replace("_", " "): {
                "before": before[name],
                "peak": peak[name],
                "afterwards": last[name],
            }
            for name in before
        }
        return {**rows, "alive in the end": self.last.alive}

    def _count(self) -> None:
        with self.log.open("rb") as file:
            file.seek(self._read)
            while block := file.read(_BLOCK):
                self._read += len(block)
                self._lines += block.count(b"\n")


def _each(choose: Callable[[int, int], int], one: Reading, other: Reading) -> Reading:
    first, second = asdict(one), asdict(other)
    return Reading(**{name: choose(first[name], second[name]) for name in first})


@dataclass(frozen=True, slots=True)
class Processor:
    """Processor seconds of the whole machine, and of some processes, since it was started."""

    busy: float
    total: float
    own: dict[str, float]

    @classmethod
    def look(cls, pids: dict[str, int]) -> Processor:
        """Look now; ``pids`` by what to call them."""
        tick = os.sysconf("SC_CLK_TCK")
        # A child's idle time is told apart from nothing: idle and iowait.
        numbers = [int(part) for part in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
        total = sum(numbers) / tick
        return cls(
            busy=total - (numbers[3] + numbers[4]) / tick,
            total=total,
            own={name: _seconds(pid) for name, pid in pids.items()},
        )

    def since(self, before: Processor) -> dict[str, float]:
        """Return how many processors were busy meanwhile, and for whom."""
        cores = os.cpu_count() or 1
        seconds = max((self.total - before.total) / cores, 1e-9)
        shares = {name: (self.own[name] - before.own[name]) / seconds for name in self.own}
        others = (self.busy - before.busy) / seconds - sum(shares.values())
        return {**shares, "everybody else": max(0.0, others)}


def _seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
