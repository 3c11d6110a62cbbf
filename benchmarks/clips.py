"""What clips look like at a few kilobytes, beside video codecs and beside single pictures.

    python -m benchmarks.clips VIDEO... [--seconds 2] [--bytes 8000 16000] [--json [FILE]]

PSNR in dB, at most at so many bytes, the mean of all pictures and that of their mean squared error:
of our clip (its beginning: one stream serves all sizes), of our single pictures with as many bytes
each, and of AV1 (SVT, preset 3) and HEVC (x265, veryslow), one group of pictures each, with the
quantiser found by bisection; headers of containers do not count.  Videos are reduced and sampled
first, for all alike.  The mean favours whatever spends its bytes on the easy pictures, as single
pictures of as many bytes each do where some are harder than others.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import isnan, nan
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from diffc_stream.clips import ClipDecoder, ClipEncoder, Footage, load_footage
from diffc_stream.codec import Decoder, Encoder
from diffc_stream.diffusion.collection import default_model
from diffc_stream.diffusion.model import Model
from diffc_stream.metrics import psnr

from .command import count, exit_code, tell

Picture = NDArray[np.uint8]

BYTES = (1000, 2000, 4000, 8000, 16_000, 32_000)
FINEST = 63
"""Quantisers go from 0 to this."""
os.environ.setdefault("SVT_LOG", "1")  # errors only
CODECS: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    "AV1": ("libsvtav1", "libdav1d", {"preset": "3"}),
    "HEVC": ("libx265", "hevc", {"preset": "veryslow"}),
}
"""Encoder, decoder and options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """What became of a clip in so many bytes."""

    video: str
    codec: str
    asked: int
    bytes: int
    psnr: float
    """Mean of all pictures in dB; NaN if it cannot be so small."""
    overall: float
    """PSNR of the mean squared error of all pictures in dB, or NaN."""


class Quality(NamedTuple):
    """How like the footage pictures are, as :class:`Rated` has it."""

    psnr: float = nan
    overall: float = nan


def rated_as(shown: Sequence[Picture], footage: Footage) -> Quality:
    """Compare ``shown`` with the footage."""
    pairs = zip(shown, footage.pictures, strict=True)
    each = np.array([psnr(one, other) for one, other in pairs])
    return Quality(float(each.mean()), float(-10 * np.log10(np.mean(10 ** (-each / 10)))))


def ours(
    footage: Footage, model: Model, sizes: Sequence[int], note: Callable[[int], object]
) -> tuple[dict[int, tuple[int, Quality]], float]:
    """Return bytes and quality of a clip at each of ``sizes``, and the seconds of encoding."""
    begun = time.perf_counter()
    encoder = ClipEncoder(
        footage.pictures, model, milliseconds=footage.milliseconds, target_bytes=max(sizes)
    )
    data = b""
    for piece in encoder:
        data += piece
        note(len(data))
    seconds = time.perf_counter() - begun
    found = {}
    decoder = ClipDecoder([model])
    for size in sorted(sizes):
        decoder.feed(data[decoder.bytes_received : size])
        shown = [decoder.render(number) for number in range(len(decoder))]
        found[size] = decoder.bytes_received, rated_as(shown, footage)
    return found, seconds


def singles(footage: Footage, model: Model, size: int) -> tuple[int, Quality]:
    """Return bytes and quality of the pictures by themselves, ``size`` bytes in all."""
    share, shown = size // len(footage.pictures), []
    if share < 32:
        return 0, Quality()
    for picture in footage.pictures:
        decoder = Decoder([model])
        decoder.feed(b"".join(Encoder(picture, model, target_bytes=share)))
        shown.append(decoder.render().image)
    return share * len(shown), rated_as(shown, footage)


def peer(footage: Footage, codec: str, size: int) -> tuple[int, Quality]:
    """Return bytes and quality of a video codec's smallest quantiser that keeps to ``size``."""
    fine, coarse = 0, FINEST
    best = 0, Quality()
    while fine <= coarse:
        quantiser = (fine + coarse) // 2
        data, shown = coded(footage, codec, quantiser)
        if data > size:
            fine = quantiser + 1
        else:
            best = data, rated_as(shown, footage)
            coarse = quantiser - 1
    return best


def coded(footage: Footage, codec: str, quantiser: int) -> tuple[int, list[Picture]]:
    """Return the bytes that a video codec takes, and its pictures.

    In a thread that ends with it: where it may, SVT-AV1 makes the thread that calls it a real-time
    one for good, and whatever that thread starts later, before which everything else stands still.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_coded, footage, codec, quantiser).result()


def _coded(footage: Footage, codec: str, quantiser: int) -> tuple[int, list[Picture]]:
    name, decoder, options = CODECS[codec]
    height, width = footage.pictures[0].shape[:2]
    context = av.CodecContext.create(name, "w")
    context.width, context.height = width + width % 2, height + height % 2
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(footage.milliseconds, 1000)
    context.framerate = Fraction(1000, footage.milliseconds)
    context.gop_size = 2 * len(footage.pictures)
    context.options = {"crf": str(min(quantiser, 51 if codec == "HEVC" else 63)), **options}
    if codec == "HEVC":
        context.options |= {"x265-params": "log-level=none:info=0"}
    packets = []
    for number, picture in enumerate(footage.pictures):
        even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(even, format="rgb24").reformat(format="yuv420p")
        frame.pts = number
        packets += context.encode(frame)
    packets += context.encode(None)
    reader = av.CodecContext.create(decoder, "r")
    if context.extradata:
        reader.extradata = context.extradata
    frames = [frame for packet in [*packets, None] for frame in reader.decode(packet)]
    shown = [frame.to_ndarray(format="rgb24")[:height, :width] for frame in frames]
    return sum(packet.size for packet in packets), shown


def table(rated: Sequence[Rated], sizes: Sequence[int]) -> str:
    """Return both kinds of PSNR by video and codec, a column for each size."""
    head = ["", "", *(f"{size:,} bytes" for size in sizes)]
    rows = [head, ["---"] * len(head)]
    for video, codec in dict.fromkeys((entry.video, entry.codec) for entry in rated):
        found = {e.asked: e for e in rated if (e.video, e.codec) == (video, codec)}
        cells = [
            "" if isnan(found[size].psnr) else f"{found[size].psnr:.2f} / {found[size].overall:.2f}"
            for size in sizes
        ]
        rows.append([video, codec, *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def measure(options: argparse.Namespace) -> None:
    """Measure and print."""
    model = default_model()
    rated: list[Rated] = []
    seconds: dict[str, float] = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for path in options.videos:
            footage = load_footage(
                path, rate=options.fps, seconds=options.seconds, side=options.side
            )
            task = progress.add_task(path.name, total=max(options.bytes))

            def note(done: int, task: int = task) -> None:
                progress.update(task, completed=done)  # type: ignore[arg-type]

            found, seconds[path.name] = ours(footage, model, options.bytes, note)
            for size in options.bytes:
                rows = {"clip": found[size], "single pictures": singles(footage, model, size)}
                rows |= {codec: peer(footage, codec, size) for codec in CODECS}
                for codec, (taken, quality) in rows.items():
                    rated.append(
                        Rated(
                            video=path.name,
                            codec=codec,
                            asked=size,
                            bytes=taken,
                            psnr=quality.psnr,
                            overall=quality.overall,
                        )
                    )
    rated.sort(key=lambda entry: (entry.video, entry.codec != "clip"))
    facts = {"rated": [asdict(entry) for entry in rated], "seconds": seconds}
    tell(table(rated, options.bytes), facts, options.json)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return an exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.clips",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("videos", nargs="+", type=Path, metavar="VIDEO")
    parser.add_argument("--seconds", type=float, default=2.0, help="from the beginning")
    parser.add_argument("--fps", type=float, default=12.0, help="pictures a second")
    parser.add_argument("--side", type=count, default=320, help="pixels of the longest side")
    parser.add_argument("--bytes", type=count, nargs="+", default=BYTES, help="sizes to compare at")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE")
    options = parser.parse_args(arguments)
    return exit_code("clips", lambda: measure(options))


if __name__ == "__main__":
    sys.exit(main())
