"""Large pictures on one core: what encoding and decoding them takes.

    python -m benchmarks.one_core PHOTO [--megapixels 0.4 3 12 24] [--avx2] [--engine torch]

PHOTO is cut, or repeated in mirror images, to each size, of three to two.  Each is encoded to 0.2
bits per pixel and decoded by ``diffc``, as a process of its own that may use one core.  Seconds are
those of the processor, user and system together, start included, so that it does not matter who
else uses the machine; memory is the most that was resident at once.  With ``--avx2`` nothing uses
AVX-512: see :mod:`benchmarks.narrow`.  24 megapixels take six minutes either way, ten without.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from diffc_stream.diffusion.engine import Engine
from diffc_stream.errors import DiffcError
from diffc_stream.picture import load_picture, save_png
from diffc_stream.threads import NUMBER

from . import narrow
from .command import exit_code

Picture = NDArray[np.uint8]

SIZES = (0.4, 3.0, 12.0, 24.0)
"""Megapixels."""
RATE = 0.2
"""Bits per pixel."""
GIGABYTE = 1e9
KILOBYTE = 1024
"""Linux says how much was resident in these."""

# What is resident when a process is forked counts as the child's: hence a small one between.
_MEASURED = """
import json, os, resource, subprocess, sys
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([code, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a command took."""

    seconds: float
    """Of the processor."""
    resident: float
    """Bytes, at most."""


class Failed(DiffcError):
    """A command that was measured ended with an error, which it has told."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table; return an exit code."""
    options = _parser().parse_args(arguments)
    return exit_code("one_core", lambda: _run(options))


def enlarged(picture: Picture, megapixels: float) -> Picture:
    """Return the middle of ``picture``, as far as it is large enough, or its mirror images.

    Sides are about as three to two, wide or tall as it is.
    """
    short = math.sqrt(megapixels * 1e6 / 1.5)
    sides = (round(short), round(1.5 * short))
    height, width = sides if picture.shape[0] <= picture.shape[1] else sides[::-1]
    more = [
        (max(0, wanted - side) // 2, max(0, wanted - side + 1) // 2)
        for wanted, side in zip((height, width), picture.shape, strict=False)
    ]
    padded = np.pad(picture, [*more, (0, 0)], mode="symmetric")
    top, left = (padded.shape[0] - height) // 2, (padded.shape[1] - width) // 2
    return np.ascontiguousarray(padded[top : top + height, left : left + width])


def spent(command: Sequence[str], environment: Mapping[str, str]) -> Spent:
    """Run ``command`` on one core and return what it took.  Raises Failed."""
    told = subprocess.run(
        [sys.executable, "-S", "-c", _MEASURED, *command],
        env={**environment, NUMBER: "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    code, seconds, resident = json.loads(told.stdout)
    if code:
        raise Failed(f"{' '.join(command)} ended with {code}")
    return Spent(seconds=seconds, resident=KILOBYTE * resident)


def row(picture: Picture, folder: Path, environment: Mapping[str, str]) -> str:
    """Return a row of the table: the picture encoded, and decoded as mmse and as flow."""
    source, stream, shown = (folder / name for name in ("photo.png", "photo.dfc", "shown.png"))
    save_png(source, picture)
    diffc = (sys.executable, "-m", "diffc_stream")
    commands = (
        (*diffc, "encode", str(source), str(stream), "--bpp", str(RATE)),
        (*diffc, "decode", str(stream), str(shown)),
        (*diffc, "decode", str(stream), str(shown), "--render", "flow"),
    )
    taken = [spent(command, environment) for command in commands]
    height, width = picture.shape[:2]
    cells = [f"{it.seconds:.0f} s, {it.resident / GIGABYTE:.1f} GB" for it in taken]
    return f"| {width}x{height} | " + " | ".join(cells) + " |"


def _run(options: argparse.Namespace) -> None:
    photo = load_picture(options.photo)
    instructions = "AVX2" if options.avx2 else "all it has"
    print(f"One core of {platform.machine()}, instructions: {instructions}; {options.engine}.\n")
    print(f"| pixels | encode, {RATE:g} bpp | decode | decode, flow |")
    print("|---|---|---|---|", flush=True)
    with TemporaryDirectory() as name:
        folder = Path(name)
        environment = narrow.environment(folder) if options.avx2 else dict(os.environ)
        environment["DIFFC_ENGINE"] = options.engine
        for megapixels in options.megapixels:
            print(row(enlarged(photo, megapixels), folder, environment), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.one_core",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photo", type=Path, metavar="PHOTO")
    parser.add_argument("--megapixels", type=_size, nargs="+", default=SIZES, metavar="N")
    parser.add_argument("--avx2", action="store_true", help="do without AVX-512")
    engines = [engine.value for engine in Engine]
    parser.add_argument("--engine", choices=engines, default=Engine.ONNXRUNTIME.value)
    return parser


def _size(text: str) -> float:
    value = float(text)
    if not 0.0 < value <= 100.0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of megapixels up to 100")
    return value


if __name__ == "__main__":
    sys.exit(main())
