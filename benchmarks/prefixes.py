"""What a stream shows after each of its bytes, on a folder of photographs.

    python -m benchmarks.prefixes --images DIR [--every 3] [--bpp 0.4] [--json FILE]

Encodes every picture once, to disk, then decodes growing prefixes of the file: a table of PSNR
at given sizes, the largest loss between successive pictures, how far the predicted PSNR is off,
and what the stream cost against an ideal code.  Prints Markdown; figures, never a verdict.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from diffc_stream.codec import Decoder, Encoder, EncodeReport
from diffc_stream.diffusion.collection import default_model
from diffc_stream.diffusion.model import Model, load_model
from diffc_stream.metrics import psnr
from diffc_stream.picture import load_picture
from diffc_stream.threads import limit

from .pictures import commit, machine, pictures

SIZES = (300, 1000)
RATES = (0.05, 0.1, 0.2, 0.4)


@dataclass(frozen=True, slots=True)
class Point:
    """A picture of a prefix."""

    bytes: int
    bpp: float
    psnr: float
    predicted: float


@dataclass(frozen=True, slots=True)
class Result:
    """What one picture gave."""

    image: str
    report: EncodeReport
    evaluations: float
    """Of the denoiser, in full-resolution equivalents, by a receiver that shows only the picture
    at 0.2 bpp."""
    points: list[Point]

    def at(self, size: float) -> Point:
        """Return the last picture shown within ``size`` bytes."""
        return [point for point in self.points if point.bytes <= size][-1]

    @property
    def largest_loss(self) -> float:
        """Return the largest loss in dB from one picture to the next."""
        shown = [point.psnr for point in self.points]
        return max((a - b for a, b in pairwise(shown)), default=0.0)


def main() -> None:
    arguments = parse_arguments()
    if arguments.threads:
        limit(arguments.threads)
    model = load_model(arguments.model) if arguments.model else default_model()
    paths = pictures(arguments.images, arguments.every)
    results = []
    with Progress(console=Console(stderr=True)) as progress:
        for path in progress.track(paths, description="pictures"):
            results.append(measure(path, model, arguments.bpp))
            line = " ".join(f"{p.bytes}:{p.psnr:.2f}" for p in results[-1].points[::6])
            progress.console.print(f"{path.name} {line}", soft_wrap=True)
    print(table(results))
    if arguments.json:
        record = {
            "commit": commit(),
            "machine": machine(),
            "model": model.fingerprint,
            "results": [asdict(result) for result in results],
        }
        arguments.json.write_text(json.dumps(record, indent=1))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prefixes", description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="take every N-th picture")
    parser.add_argument("--bpp", type=float, default=0.4)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def measure(path: Path, model: Model, bpp: float) -> Result:
    """Encode ``path`` at ``bpp`` to a file and look at its prefixes."""
    original = load_picture(path)
    height, width = original.shape[:2]
    encoder = Encoder(original, model, target_bytes=int(bpp * height * width / 8))
    ends = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stream.dfc"
        with file.open("wb") as out:
            for piece in encoder:
                out.write(piece)
                ends.append(encoder.written)
        stream = file.read_bytes()
    sizes = [r * height * width / 8 for r in RATES if r <= bpp]
    cuts = {*ends, *SIZES, *(int(s) for s in sizes), *range(1024, len(stream), 1024)}
    decoder, points = Decoder([model]), []
    for cut in sorted(cut for cut in cuts if cut <= len(stream)):
        decoder.feed(stream[decoder.bytes_received : cut])
        rendering = decoder.render()
        points.append(
            Point(
                bytes=cut,
                bpp=rendering.bpp,
                psnr=psnr(rendering.image, original),
                predicted=rendering.predicted_psnr,
            )
        )
    once = Decoder([model])
    once.feed(stream[: int(0.2 * height * width / 8)])
    once.render()
    return Result(path.name, encoder.report(), once.evaluations, points)


def table(results: list[Result]) -> str:
    """Return the figures as Markdown."""
    columns = [f"{size} B" for size in SIZES] + [f"{rate} bpp" for rate in RATES]
    rows = [
        "| picture | "
        + " | ".join(columns)
        + " | evaluations to 0.2 bpp | largest loss | bits / ideal | state noise |",
        "|---" * (len(columns) + 5) + "|",
    ]
    everything = []
    for result in results:
        pixels = 8 * result.report.bytes / result.report.bpp
        sizes = [float(size) for size in SIZES] + [rate * pixels / 8 for rate in RATES]
        shown = [result.at(size + 0.5).psnr for size in sizes]
        cost = 8 * result.report.bytes / result.report.ideal_bits
        rest = [result.evaluations, result.largest_loss, cost, result.report.state_noise]
        everything.append([*shown, *rest])
        rows.append(_row(result.image, everything[-1]))
    rows.append(
        _row("**mean**", [float(np.mean(column)) for column in zip(*everything, strict=True)])
    )
    late = [p.predicted - p.psnr for r in results for p in r.points if p.bpp > 0.05]
    if late:
        rows.append("")
        rows.append(
            f"predicted PSNR above 0.05 bpp: off by {np.mean(np.abs(late)):.2f} dB on average "
            f"(bias {np.mean(late):+.2f}); largest loss between pictures "
            f"{max(r.largest_loss for r in results):.3f} dB"
        )
    return "\n".join(rows)


def _row(name: str, figures: list[float]) -> str:
    *shown, spent, loss, cost, noise = figures
    cells = [f"{figure:.2f}" for figure in shown]
    cells += [f"{spent:.2f}", f"{loss:.3f}", f"{cost:.3f}", f"{noise:.4f}"]
    return f"| {name} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
