"""How many pictures an hour ``diffc bulk`` encodes, beside a loop over ``diffc encode``.

    python -m benchmarks.bulk [--pictures 24] [--side 96] [--bpp 0.5] [--workers 2] [--json]

Generated pictures (discs before a gradient).  The loop uses all cores for one picture at a time, as
``diffc encode`` does; bulk has a process for each core.  Seconds, CPU seconds of all processes, the
ratios of both, and whether all streams are equal.  With ``--many N`` it also lists N files whose
pictures have all been encoded, and tells the memory of the process that hands them out.  With
``--shared N`` three senders with one store are asked for N pictures (:mod:`.bulk_senders`), and
nothing else is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .bulk_senders import Shared
from .bulk_senders import measured as senders
from .command import count, exit_code
from .pictures import commit, machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """What was measured."""

    pictures: int
    loop_seconds: float
    loop_cpu_seconds: float
    bulk_seconds: float
    bulk_cpu_seconds: float
    gain: float
    """Pictures an hour of bulk over those of the loop."""
    cpu_gain: float
    """The same for an hour of computing."""
    equal: bool
    hourly: float
    """Pictures an hour of bulk."""
    many: int
    many_seconds: float
    many_megabytes: float
    """Largest resident memory of any of the processes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bulk", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--pictures", type=count, default=24, metavar="N")
    parser.add_argument("--side", type=count, default=96, metavar="PIXELS")
    parser.add_argument("--bpp", type=float, default=0.5)
    parser.add_argument("--workers", type=count, default=2, metavar="N")
    parser.add_argument("--many", type=int, default=0, metavar="N")
    parser.add_argument("--shared", type=int, default=0, metavar="N")
    parser.add_argument("--kills", type=int, default=3, metavar="N", help="of senders (3)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parsed = parser.parse_args(arguments)
    return exit_code("bulk", lambda: _run(parsed))


def _run(parsed: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if parsed.shared:
            facts = {"shared": [asdict(record) for record in _shared(Path(folder), parsed)]}
        else:
            facts = asdict(measured(Path(folder), parsed))
    if parsed.json:
        print(json.dumps({"commit": commit(), "machine": machine(), **facts}))
    else:
        print("\n".join(f"{name}: {value}" for name, value in facts.items()))


def _shared(home: Path, parsed: argparse.Namespace) -> list[Shared]:
    """Return what comes of senders that share a store."""
    pictures = [
        (f"{number:05}.png", Image.fromarray(picture(parsed.side, number)))
        for number in range(parsed.shared)
    ]
    size = int(parsed.bpp * parsed.side**2 / 8)
    return senders(home, pictures, size=size, kills=parsed.kills)


def measured(home: Path, parsed: argparse.Namespace) -> Bulk:
    """Return what both take."""
    source, loop, bulk = home / "source", home / "loop", home / "bulk"
    for folder in (source, loop):
        folder.mkdir()
    for number in range(parsed.pictures):
        Image.fromarray(picture(parsed.side, number)).save(source / f"{number:05}.png")
    rate = ["--bpp", str(parsed.bpp)]
    began, computed = time.monotonic(), _computed()
    for path in sorted(source.iterdir()):
        _diffc("encode", str(path), str(loop / f"{path.name}.dfc"), *rate)
    middle, middle_computed = time.monotonic(), _computed()
    _diffc("bulk", str(source), str(bulk), *rate, "--workers", str(parsed.workers))
    ended, ended_computed = time.monotonic(), _computed()
    equal = all(
        path.read_bytes() == (bulk / path.name).read_bytes() for path in sorted(loop.iterdir())
    )
    first, second = middle - began, ended - middle
    many_seconds = _many(home, parsed.many, parsed.workers) if parsed.many else 0.0
    return Bulk(
        pictures=parsed.pictures,
        loop_seconds=first,
        loop_cpu_seconds=middle_computed - computed,
        bulk_seconds=second,
        bulk_cpu_seconds=ended_computed - middle_computed,
        gain=first / second,
        cpu_gain=(middle_computed - computed) / (ended_computed - middle_computed),
        equal=equal,
        hourly=3600 * parsed.pictures / second,
        many=parsed.many,
        many_seconds=many_seconds,
        many_megabytes=resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    )


def picture(side: int, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return a picture, (side, side, 3)."""
    y, x = np.mgrid[0:side, 0:side] / side
    values = np.random.default_rng(seed)
    shown = np.stack([0.5 + 0.4 * np.sin(3 * x + seed), 0.5 + 0.3 * np.cos(4 * y - x), x * y], -1)
    for _ in range(14):
        across, down, radius = *values.uniform(0, 1, 2), values.uniform(0.04, 0.2)
        shown[(x - across) ** 2 + (y - down) ** 2 < radius**2] = values.uniform(0, 1, 3)
    return np.asarray(255 * np.clip(shown, 0, 1), np.uint8)


def _many(home: Path, number: int, workers: int) -> float:
    """Return the seconds that a run takes over ``number`` files that are no pictures."""
    source = home / "many"
    source.mkdir()
    for place in range(number):
        (source / f"{place:06}.png").write_bytes(b"none")
    began = time.monotonic()
    _diffc("bulk", str(source), str(home / "none"), "--workers", str(workers), codes=(4,))
    return time.monotonic() - began


def _diffc(*arguments: str, codes: tuple[int, ...] = (0,)) -> None:
    command = [sys.executable, "-m", "diffc_stream", *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode not in codes:
        raise OSError(f"diffc {arguments[0]} ended with {done.returncode}")


def _computed() -> float:
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    raise SystemExit(main())
