"""What it brings to start from a thumbnail, and to sharpen a region first.

    python -m benchmarks.starts --images DIR [--every 3] [--json [FILE]]

**Thumbnail**: the best WebP of at most 1,024 bytes of the picture at an eighth or a quarter of its
size, and a stream that starts from it, beside streams of the picture alone; PSNR in dB at sizes
that count the thumbnail.

**Region**: a tenth of the frame, in its middle.  Bytes until the region has 32 dB: of the stream of
the whole picture, and of its first 500 bytes and a stream of the region that starts from them.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from diffc_stream.codec import Decoder, Encoder, Held
from diffc_stream.diffusion.collection import default_model
from diffc_stream.diffusion.model import Model
from diffc_stream.metrics import psnr
from diffc_stream.picture import load_picture

from .cameras import Point, at
from .command import count, exit_code, tell
from .pictures import pictures

Picture = NDArray[np.uint8]
View = tuple[int, int, int, int]
"""Top, left, height and width of a part of a picture."""

THUMBNAIL = 1024
"""Most bytes of a thumbnail."""
REDUCED = (8, 4)
"""By how many times thumbnails are smaller than pictures."""
SIZES = (2048, 2850, 3000)
"""Bytes at which qualities are compared: 3,000 in all, that less 5 %, and 2 kB."""
FIRST = 500
"""Bytes of the whole picture before its region."""
WANTED = 32.0
"""dB of the region."""
SHARE = 0.1
"""Of the frame, that the region takes."""
MOST_BPP = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What one picture gave."""

    image: str
    thumbnail: int
    """Bytes."""
    alone: dict[int, float]
    """PSNR in dB of the picture's own stream, by bytes."""
    from_thumbnail: float
    """PSNR in dB at the last of SIZES, the thumbnail counted."""
    whole: float
    """Bytes of the whole picture's stream until the region has WANTED dB; nan if it never has."""
    region: float
    """The same if the region comes first."""


def main(arguments: Sequence[str] | None = None, *, prog: str | None = None) -> int:
    """Measure and return the exit code; errors are one line on stderr."""
    parsed = _parser(prog or "python -m benchmarks.starts").parse_args(arguments)
    return exit_code("starts", lambda: _run(parsed))


def _run(parsed: argparse.Namespace) -> None:
    paths, model = pictures(parsed.images, parsed.every), default_model()
    with Progress(console=Console(stderr=True)) as progress:
        results = [measured(path, model) for path in progress.track(paths, description="starts")]
    tell(table(results), {"results": [asdict(result) for result in results]}, parsed.json)


def measured(path: Path, model: Model) -> Started:
    """Measure one picture."""
    picture = load_picture(path)
    most = int(MOST_BPP * picture.shape[0] * picture.shape[1] / 8)
    view = middle(*picture.shape[:2])
    stream, whole = _until_good(picture, model, view, most=most, least=SIZES[-1])
    first = stream[:FIRST]
    held = Held(picture=_decoded(first, model), data=first, view=view)
    part = _part(picture, view)
    _, region = _until_good(part, model, (0, 0, *part.shape[:2]), most=most, reference=held)
    data, small = thumbnail(picture)
    started = _stream(picture, model, SIZES[-1] - len(data), Held(picture=small, data=data))
    return Started(
        image=path.name,
        thumbnail=len(data),
        alone={size: psnr(_decoded(stream[:size], model), picture) for size in SIZES},
        from_thumbnail=psnr(_decoded(started, model, small), picture),
        whole=whole,
        region=FIRST + region,
    )


def thumbnail(picture: Picture) -> tuple[bytes, Picture]:
    """Return the thumbnail that gives most when it is enlarged: its bytes and its pixels."""
    image, best, most = Image.fromarray(picture), None, -np.inf
    for times in REDUCED:
        size = -(-image.width // times), -(-image.height // times)
        small = image.resize(size, Image.Resampling.BOX)
        fitting: bytes | None = None
        for quality in range(1, 100):
            out = io.BytesIO()
            small.save(out, "WEBP", quality=quality, method=6)
            if out.tell() > THUMBNAIL:
                break
            fitting = out.getvalue()
        if fitting is None:
            continue
        shown = np.asarray(Image.open(io.BytesIO(fitting)).convert("RGB"))
        large = Image.fromarray(shown).resize(image.size, Image.Resampling.BICUBIC)
        quality_db = psnr(np.asarray(large), picture)
        if quality_db > most:
            best, most = (fitting, shown), quality_db
    assert best is not None
    return best


def middle(height: int, width: int) -> View:
    """Return the region of a picture of this size."""
    rows, columns = round(height * SHARE**0.5), round(width * SHARE**0.5)
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def _part(picture: Picture, view: View) -> Picture:
    top, left, rows, columns = view
    return picture[top : top + rows, left : left + columns].copy()


def _until_good(
    picture: Picture,
    model: Model,
    view: View,
    *,
    most: int,
    least: int = 0,
    reference: Held | None = None,
) -> tuple[bytes, float]:
    """Return the stream of a picture until its part in ``view`` is good, and the bytes that takes.

    The stream has ``least`` to ``most`` bytes; the bytes are nan if the part is not good by then.
    """
    encoder = Encoder(picture, model, target_bytes=most, reference=reference)
    decoder = _decoder(model, None if reference is None else reference.picture)
    data, points = b"", []
    for piece in encoder:
        data += piece
        decoder.feed(piece)
        quality = psnr(_part(decoder.render().image, view), _part(picture, view))
        points.append(Point(bytes=len(data), psnr=quality))
        if quality > WANTED and len(data) >= least:
            break
    return data, at(points, WANTED)


def _stream(picture: Picture, model: Model, size: int, reference: Held | None = None) -> bytes:
    return b"".join(Encoder(picture, model, target_bytes=size, reference=reference))


def _decoder(model: Model, reference: Picture | None = None) -> Decoder:
    def known(_: object) -> Picture:
        assert reference is not None
        return reference

    return Decoder([model], references=known)


def _decoded(stream: bytes, model: Model, reference: Picture | None = None) -> Picture:
    decoder = _decoder(model, reference)
    decoder.feed(stream)
    return decoder.render().image


def table(results: Sequence[Started]) -> str:
    """Return the figures as a table in Markdown, with their means."""
    alone = " | ".join(f"alone, {size:,}" for size in SIZES)
    lines = [
        f"| | {alone} | from a thumbnail, {SIZES[-1]:,} | region, whole first | region first | |",
        "|---|" + "---|" * (len(SIZES) + 4),
    ]
    for result in results:
        qualities = " | ".join(f"{result.alone[size]:.2f}" for size in SIZES)
        share = f"{100 * result.region / result.whole:.0f} %"
        lines.append(
            f"| {result.image} | {qualities} | {result.from_thumbnail:.2f} | {result.whole:.0f} "
            f"| {result.region:.0f} | {'-' if np.isnan(result.whole) else share} |"
        )
    both = [result for result in results if not np.isnan(result.whole + result.region)]
    qualities = " | ".join(f"{np.mean([r.alone[size] for r in results]):.2f}" for size in SIZES)
    started = np.mean([result.from_thumbnail for result in results])
    shares = [100 * result.region / result.whole for result in both]
    share = f"{np.mean(shares):.0f} %" if shares else "-"
    lines.append(f"| mean | {qualities} | {started:.2f} | | | {share} |")
    return "\n".join(lines)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--every", type=count, default=1, help="take every N-th picture")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
