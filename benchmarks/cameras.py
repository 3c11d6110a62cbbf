"""What a fixed camera's pictures cost if each starts from the one before.

    python -m benchmarks.cameras --images DIR [--every 3] [--json [FILE]]

Sequences are made of the photographs (benchmarks/camera_scenes.py).  Every picture is encoded
twice: by itself, and from the beginning of the stream of the picture before, as ``diffc-server
--follow-camera`` does it.  The table has the share of bytes at equal PSNR, sums over all pictures
but the first: 100 % is what single pictures take.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import exp, log, nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from diffc_stream.codec import Decoder, Encoder, Held
from diffc_stream.codec.extent import REFERENCE_PSNR, Extent
from diffc_stream.container import Reference
from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.collection import default_model
from diffc_stream.diffusion.model import Model
from diffc_stream.metrics import psnr
from diffc_stream.picture import load_picture

from .camera_scenes import KINDS
from .camera_scenes import pictures as taken
from .command import count, exit_code, tell
from .pictures import pictures

Picture = NDArray[np.uint8]

LEVELS = (28.0, 30.0, 32.0, 34.0)
"""dB at which bytes are compared."""
MOST_BPP = 1.0
"""Bits per pixel of the streams compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The quality after a number of bytes."""

    bytes: int
    psnr: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a sequence took."""

    kind: str
    used: int
    """How many pictures started from the one before."""
    pictures: int
    header: float
    """Mean bytes of the headers of those."""
    start: float
    """Mean PSNR in dB of the picture before any step."""
    shares: dict[float, float]
    """Bytes as a share of those of single pictures, by dB; nan where no stream reached it."""


def main(arguments: Sequence[str] | None = None, *, prog: str | None = None) -> int:
    """Measure and return the exit code; errors are one line on stderr."""
    parsed = _parser(prog or "python -m benchmarks.cameras").parse_args(arguments)
    return exit_code("cameras", lambda: _run(parsed))


def _run(parsed: argparse.Namespace) -> None:
    photographs = [load_picture(path) for path in pictures(parsed.images, parsed.every)]
    model = default_model()
    results = []
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("cameras", total=len(parsed.kinds) * parsed.pictures)
        for kind in parsed.kinds:
            size = (parsed.height, parsed.width)
            sequence = taken(photographs, kind, parsed.pictures, size, parsed.seed)
            results.append(
                measured(kind, progress.track(sequence, task_id=task, total=None), model)
            )
    tell(table(results), {"results": [asdict(result) for result in results]}, parsed.json)


def measured(kind: str, sequence: Iterable[Picture], model: Model) -> Taken:
    """Encode a sequence both ways."""
    before: Held | None = None
    alone: dict[float, list[float]] = {level: [] for level in LEVELS}
    started: dict[float, list[float]] = {level: [] for level in LEVELS}
    headers, starts, used, count_ = [], [], 0, 0
    for picture in sequence:
        count_ += 1
        points, stream = encoded(picture, model)
        if before is not None:
            own, data = encoded(picture, model, before)
            if data[3] >> 4 == 4:
                used += 1
                headers.append(own[0].bytes)
                starts.append(own[0].psnr)
            for level in LEVELS:
                pair = at(points, level), at(own, level)
                if not np.isnan(pair).any():
                    alone[level].append(pair[0])
                    started[level].append(pair[1])
            stream = data
        before = held(stream, model, before)
    return Taken(
        kind=kind,
        pictures=count_,
        used=used,
        header=float(np.mean(headers)) if headers else nan,
        start=float(np.mean(starts)) if starts else nan,
        shares={
            level: sum(started[level]) / sum(alone[level]) if alone[level] else nan
            for level in LEVELS
        },
    )


def encoded(
    picture: Picture, model: Model, reference: Held | None = None
) -> tuple[list[Point], bytes]:
    """Return the quality after each step, until it passes the last level, and the stream."""
    height, width = picture.shape[:2]
    most = int(MOST_BPP * height * width / 8)
    encoder = Encoder(picture, model, target_bytes=most, reference=reference)
    points, data = [], b""
    if encoder.chain.reference is not None:
        points.append(Point(bytes=encoder.head, psnr=_shown(encoder, picture)))
    for piece in encoder:
        data += piece
        points.append(Point(bytes=len(data), psnr=_shown(encoder, picture)))
        enough = encoder.chain.now().expected.psnr > REFERENCE_PSNR + 0.5
        if points[-1].psnr > LEVELS[-1] and enough:
            break
    return points, data


def _shown(encoder: Encoder, picture: Picture) -> float:
    return psnr(octaves.picture(encoder.chain.mean(encoder.chain.now())), picture)


def held(stream: bytes, model: Model, before: Held | None) -> Held:
    """Return the beginning of a stream that the next picture starts from."""
    size = beginning(stream)

    def known(reference: Reference) -> Picture:
        assert before is not None
        assert reference.matches(before.data)
        return before.picture

    decoder = Decoder([model], references=known)
    decoder.feed(stream[:size])
    return Held(picture=decoder.render().image, data=stream[:size])


def beginning(stream: bytes) -> int:
    """Return how many bytes of a stream the next one starts from, by the sender's rule."""
    extent = Extent()
    extent.look(stream, complete=True)
    assert extent.size is not None
    return extent.size


def at(points: Sequence[Point], level: float) -> float:
    """Return the bytes at which a quality is reached, interpolated; nan if it is not."""
    before: Point | None = None
    for point in points:
        if point.psnr >= level:
            if before is None or point.psnr == before.psnr:
                return float(point.bytes)
            share = (level - before.psnr) / (point.psnr - before.psnr)
            return exp((1 - share) * log(before.bytes) + share * log(point.bytes))
        before = point
    return nan


def table(results: Sequence[Taken]) -> str:
    """Return the figures as a table in Markdown."""
    lines = [
        "| | started from the one before | header | before any step | "
        + " | ".join(f"{level:.0f} dB" for level in LEVELS)
        + " |",
        "|---|---|---|---|" + "---|" * len(LEVELS),
    ]
    for result in results:
        shares = " | ".join(_percent(result.shares[level]) for level in LEVELS)
        lines.append(
            f"| {result.kind} | {result.used} of {result.pictures - 1} | {result.header:.0f} bytes "
            f"| {result.start:.1f} dB | {shares} |"
        )
    return "\n".join(lines)


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.1f} %"


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--every", type=count, default=1, help="take every N-th photograph")
    parser.add_argument("--pictures", type=count, default=24, help="of each sequence (default 24)")
    parser.add_argument("--width", type=count, default=384)
    parser.add_argument("--height", type=count, default=256)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
