"""Fuzz everything that reads from the network.

    python -m fuzz --inputs 1000000
    python -m fuzz --inputs 50000 --parser message --parser stream --seed 2 --json

Inputs are noise, damaged valid examples, hostile MessagePack, and streams with extreme records; all
follow from the seed.  A parser (fuzz/parsers.py lists them) may raise only the exceptions that are
documented for it, with a message of one line.  It may not take longer for one input, nor allocate
more at once, than its row allows.  Python's allocations are traced for one input in 16, to save
time; the memory of the process is checked for all.

Exit codes: 0 no findings, 1 findings, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import traceback
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from diffc_benchmarks.command import exit_code
from diffc_benchmarks.pictures import commit, machine
from diffc_stream.flags import integer

from .mutation import Mutator
from .parsers import PARSERS, Parser, parsers

BATCH = 100
"""Inputs between two updates of the progress."""
TRACED = 16
"""One batch in so many is run with its allocations traced."""
MOST_FINDINGS = 20
"""Kinds of findings of one parser that are recorded."""
AGAIN = 3
"""How often a slow input is repeated, since other programs use this machine too."""


@dataclass(slots=True, kw_only=True)
class Finding:
    """A parser's behaviour that breaks its promises."""

    what: str
    where: str
    """The line of code, if there is one."""
    input: str
    """The first such input, in hex."""
    count: int = 1


@dataclass(slots=True, kw_only=True)
class Outcome:
    """The results of one parser."""

    parser: str
    reads: str
    inputs: int = 0
    seconds: float = 0.0
    """Total time, generating the inputs included."""
    per_second: float = 0.0
    """Inputs a second, without tracing."""
    taken: int = 0
    """Inputs that were accepted."""
    refused: dict[str, int] = field(default_factory=dict)
    """Inputs that were refused, by exception."""
    slowest_ms: float = 0.0
    largest_kb: float = 0.0
    """Largest allocation for one of the traced inputs."""
    resident_before_kb: int = 0
    resident_after_kb: int = 0
    findings: list[Finding] = field(default_factory=list)


class Fuzzer:
    """Feeds one parser, and records its results."""

    def __init__(self, parser: Parser, *, seed: int = 0, traced: int = TRACED) -> None:
        """Trace allocations in every ``traced``-th batch; 1 traces all."""
        self._parser = parser
        self._mutator = Mutator(f"{seed} {parser.name}")
        self._traced = traced
        self._outcome = Outcome(parser=parser.name, reads=parser.reads)
        self._refused: Counter[str] = Counter()
        self._found: dict[tuple[str, str], Finding] = {}
        self._slowest = 0.0
        self._largest = 0

    def run(self, inputs: int, tell: Callable[[int], None] = lambda _: None) -> Outcome:
        """Feed ``inputs`` inputs; call ``tell`` with the number of inputs in each batch."""
        outcome, began = self._outcome, perf_counter()
        alone, alone_seconds, batches = 0, 0.0, 0
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            while outcome.inputs < inputs:
                count, since = min(BATCH, inputs - outcome.inputs), perf_counter()
                batches += 1
                if batches % self._traced == 0:
                    self._watched(count)
                else:
                    self._batch(count)
                    alone, alone_seconds = alone + count, alone_seconds + perf_counter() - since
                outcome.inputs += count
                if batches == 1:  # caches are filled now
                    outcome.resident_before_kb = resident_kb()
                tell(count)
        outcome.resident_after_kb = resident_kb()
        outcome.seconds = perf_counter() - began
        outcome.per_second = alone / alone_seconds if alone_seconds else 0.0
        outcome.refused = dict(self._refused.most_common())
        outcome.taken = inputs - sum(self._refused.values())
        outcome.slowest_ms = 1000 * self._slowest
        outcome.largest_kb = self._largest / 1024
        outcome.findings = list(self._found.values())
        return outcome

    def _batch(self, count: int) -> None:
        source, mutator, clock = self._parser.source, self._mutator, perf_counter
        for _ in range(count):
            data = source(mutator)
            began = clock()
            self._feed(data)
            elapsed = clock() - began
            if elapsed > self._slowest:
                self._time(data, elapsed)

    def _watched(self, count: int) -> None:
        """Feed inputs with their allocations traced."""
        limit = self._parser.memory
        tracemalloc.start()
        try:
            for _ in range(count):
                data = self._parser.source(self._mutator)
                before, _ = tracemalloc.get_traced_memory()
                tracemalloc.reset_peak()
                self._feed(data)
                allocated = tracemalloc.get_traced_memory()[1] - before
                self._largest = max(self._largest, allocated)
                if allocated > limit:
                    self._find(f"more than {limit / 2**20:g} MB allocated at once", "", data)
        finally:
            tracemalloc.stop()

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.parse(data)
        except self._parser.errors as error:
            self._refused[type(error).__name__] += 1
            if len(str(error).splitlines()) != 1:
                self._find(f"a message that is not one line: {str(error)!r}", place(error), data)
        except Exception as error:
            self._refused[type(error).__name__] += 1
            self._find(f"{type(error).__name__}: {error}", place(error), data)

    def _time(self, data: bytes, elapsed: float) -> None:
        """Record an input as slow only if it is slow every time."""
        for _ in range(AGAIN):
            began = perf_counter()
            with contextlib.suppress(Exception):
                self._parser.parse(data)
            elapsed = min(elapsed, perf_counter() - began)
        self._slowest = max(self._slowest, elapsed)
        if elapsed > self._parser.seconds:
            self._find(f"more than {self._parser.seconds:g} s for one input", "", data)

    def _find(self, what: str, where: str, data: bytes) -> None:
        # The same line of code is the same bug, whatever the message.
        kind = (what.partition(":")[0], where)
        if kind in self._found:
            self._found[kind].count += 1
        elif len(self._found) < MOST_FINDINGS:
            self._found[kind] = Finding(what=what[:500], where=where, input=data.hex())


def place(error: Exception) -> str:
    """Return the innermost line of code that an exception comes from."""
    *_, frame = traceback.extract_tb(error.__traceback__)
    return f"{Path(frame.filename).name}:{frame.lineno}"


def resident_kb() -> int:
    """Return the memory of this process in kB; 0 if the system does not say."""
    statm = Path("/proc/self/statm")
    if not statm.is_file():
        return 0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def main(arguments: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Fuzz and return the exit code."""
    parsed = _parser(prog or "python -m fuzz").parse_args(arguments)
    outcomes: list[Outcome] = []
    code = exit_code("fuzz", lambda: outcomes.extend(_fuzzed(parsed)))
    if not outcomes:
        return code
    if parsed.json:
        record = {
            "commit": commit(),
            "machine": machine(),
            "seed": parsed.seed,
            "parsers": [asdict(outcome) for outcome in outcomes],
        }
        print(json.dumps(record, indent=1))
    else:
        print(table(outcomes))
    found = sum(len(outcome.findings) for outcome in outcomes)
    if found:
        print(f"fuzz: {found} kinds of inputs that are not read as promised", file=sys.stderr)
    return 1 if found else code


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the results as a Markdown table, followed by the findings."""
    rows = [
        "| parser | inputs | a second | taken | refused | slowest ms | largest kB | process kB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for o in outcomes:
        grown = o.resident_after_kb - o.resident_before_kb
        rows.append(
            f"| {o.parser} | {o.inputs:,} | {o.per_second:,.0f} | {o.taken:,} | "
            f"{sum(o.refused.values()):,} | {o.slowest_ms:.2f} | {o.largest_kb:,.0f} | {grown:+,} |"
        )
    for o in outcomes:
        for finding in o.findings:
            where = f" at {finding.where}" if finding.where else ""
            times = f"{finding.count:,} times"
            rows += ["", f"{o.parser}: {finding.what}{where}, {times}, first for", finding.input]
    return "\n".join(rows)


def _fuzzed(parsed: argparse.Namespace) -> list[Outcome]:
    outcomes = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        Progress(*columns, TimeRemainingColumn(), console=console) as progress,
    ):
        for parser in parsers(Path(folder)):
            if parsed.parser and parser.name not in parsed.parser:
                continue
            inputs = max(1, parsed.inputs // parser.share)
            task = progress.add_task(parser.name, total=inputs)
            outcome = Fuzzer(parser, seed=parsed.seed).run(inputs, partial(progress.advance, task))
            outcomes.append(outcome)
            progress.console.print(
                f"{parser.name}: {outcome.per_second:,.0f} a second, "
                f"{len(outcome.findings)} findings",
                soft_wrap=True,
            )
    return outcomes


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--inputs",
        metavar="N",
        type=integer(1, 10**9),
        default=20_000,
        help="to each parser; slow ones get a share (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="other inputs (%(default)s)")
    parser.add_argument(
        "--parser", metavar="NAME", choices=PARSERS, action="append", help="this one only; again"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser
