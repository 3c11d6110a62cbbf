"""What it brings to ask for a region while a picture arrives over a slow link.

    python -m benchmarks.regions --images DIR [--every 3] [--rate 2000] [--json [FILE]]

A sender and a receiver as they are, and between them a link of ``--rate`` bytes a second and a
round trip of 600 ms.  The region is a tenth of the frame, in its middle, and wanted once there are
500 bytes of the picture.  What is counted is bytes of streams, the whole picture's included, and
seconds from the first request on until the region has 32 dB: with the region asked for and without.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from math import nan
from pathlib import Path
from shutil import copyfile

import numpy as np
from rich.console import Console
from rich.progress import Progress

from diffc_client import ModelDecoders, connect
from diffc_server import Catalogue, FileOpener, Pipeline, SenderDaemon
from diffc_stream.diffusion.collection import default_model
from diffc_stream.diffusion.model import Model
from diffc_stream.metrics import psnr
from diffc_stream.picture import load_picture
from diffc_stream.transport.impaired_link import Link
from diffc_stream.transport.impairment import Impairment

from .command import count, exit_code, tell
from .pictures import pictures
from .starts import FIRST, MOST_BPP, WANTED, middle

RATE = 2000
DELAY = 0.3
"""Seconds each way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What it took until the region was good; nan if it never was."""

    bytes: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one picture gave."""

    image: str
    without: Reached
    region: Reached


def main(arguments: Sequence[str] | None = None, *, prog: str | None = None) -> int:
    """Measure and return the exit code; errors are one line on stderr."""
    parsed = _parser(prog or "python -m benchmarks.regions").parse_args(arguments)
    return exit_code("regions", lambda: _run(parsed))


def _run(parsed: argparse.Namespace) -> None:
    paths, model = pictures(parsed.images, parsed.every), default_model()
    with Progress(console=Console(stderr=True)) as progress:
        results = [
            asyncio.run(measured(path, model, parsed.rate))
            for path in progress.track(paths, description="regions")
        ]
    facts = {"rate": parsed.rate, "results": [asdict(result) for result in results]}
    tell(table(results), facts, parsed.json)


async def measured(path: Path, model: Model, rate: float) -> Asked:
    """Measure one picture over a link of ``rate`` bytes a second."""
    return Asked(
        image=path.name,
        without=await _reached(path, model, rate, asking=False),
        region=await _reached(path, model, rate, asking=True),
    )


async def _reached(path: Path, model: Model, rate: float, *, asking: bool) -> Reached:
    picture = load_picture(path)
    height, width = picture.shape[:2]
    top, left, rows, columns = middle(height, width)
    place = np.s_[top : top + rows, left : left + columns]
    models = {model.fingerprint: model}
    down, up = Impairment(rate=rate, delay=DELAY), Impairment(delay=DELAY)
    with tempfile.TemporaryDirectory() as folder:
        copyfile(path, Path(folder, path.name))
        pipeline = Pipeline(FileOpener(models))
        async with (
            SenderDaemon(Catalogue(Path(folder)), pipeline) as daemon,
            Link("127.0.0.1", daemon.port, down=down, up=up) as link,
            connect(f"ws://127.0.0.1:{link.port}", decoders=ModelDecoders(models)) as sender,
        ):
            clock = asyncio.get_running_loop().time
            began = clock()
            async with aclosing(sender.open(path.name, bpp=MOST_BPP)) as delivery:
                if asking:
                    delivery.sharpen((left, top, columns, rows), after=FIRST, bpp=8 * MOST_BPP)
                async for refinement in delivery:
                    if psnr(refinement.image[place], picture[place]) >= WANTED:
                        parts = sum(region.bytes for region in refinement.regions)
                        return Reached(bytes=refinement.bytes + parts, seconds=clock() - began)
    return Reached(bytes=nan, seconds=nan)


def table(results: Sequence[Asked]) -> str:
    """Return the figures as a table in Markdown."""
    lines = ["| | whole picture only | region asked for |", "|---|---|---|"]
    for result in results:
        cells = (
            "not at 1 bit per pixel"
            if np.isnan(reached.bytes)
            else f"{reached.bytes:,.0f} bytes, {reached.seconds:.1f} s"
            for reached in (result.without, result.region)
        )
        lines.append(f"| {result.image} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--every", type=count, default=1, help="take every N-th picture")
    parser.add_argument(
        "--rate", type=count, default=RATE, help="bytes per second of the link (%(default)s)"
    )
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
