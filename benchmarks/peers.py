"""What the codecs people use give at the same bytes, on a folder of photographs.

    python -m benchmarks.peers --images DIR [--every 3] [--rates 0.05 0.1 0.2 0.4]

Every codec that Pillow was built with, at full size and reduced 2, 4 and 8 times, then enlarged
(bicubic); per picture and rate the best of all settings that stay within the bytes.  Real files,
headers and all.  Prints versions, settings and a Markdown table of mean PSNR in dB.
"""

from __future__ import annotations

import argparse
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, features
from rich.console import Console
from rich.progress import Progress

from benchmarks.prefixes import SUFFIXES
from diffc_stream.metrics import psnr
from diffc_stream.picture import load_picture

REDUCTIONS = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A codec and the settings to try, from fewest bytes to most."""

    name: str
    feature: str
    """What Pillow calls it in its list of features."""
    format: str
    settings: tuple[dict[str, object], ...]


PEERS = (
    Peer(
        name="JPEG",
        feature="jpg",
        format="JPEG",
        settings=tuple({"quality": q, "optimize": True, "progressive": True} for q in range(1, 96)),
    ),
    Peer(
        name="WebP",
        feature="webp",
        format="WEBP",
        settings=tuple({"quality": q, "method": 6} for q in range(96)),
    ),
    Peer(
        name="JPEG 2000",
        feature="jpg_2000",
        format="JPEG2000",
        settings=tuple(
            {
                "quality_mode": "rates",
                "quality_layers": [1200 * 0.93**i],
                "irreversible": True,
                "mct": 1,
            }
            for i in range(76)
        ),
    ),
    Peer(
        name="AVIF",
        feature="avif",
        format="AVIF",
        settings=tuple({"quality": q, "speed": 4} for q in range(96)),
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="take every N-th picture")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.05, 0.1, 0.2, 0.4])
    arguments = parser.parse_args()
    paths = sorted(p for p in arguments.images.iterdir() if p.suffix.lower() in SUFFIXES)
    paths = paths[:: arguments.every]
    peers = [peer for peer in PEERS if features.check(peer.feature)]
    print(f"Pillow {PIL.__version__}:", end=" ")
    print(", ".join(f"{p.name} {features.version(p.feature) or ''}".strip() for p in peers))
    print("\n| codec | " + " | ".join(f"{rate} bpp" for rate in arguments.rates) + " |")
    print("|---" * (len(arguments.rates) + 1) + "|")
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("peers", total=len(peers) * len(paths))
        for peer in peers:
            rows = []
            for path in paths:
                rows.append(best(load_picture(path), peer, arguments.rates))
                progress.advance(task)
            means = np.mean(rows, axis=0)
            cells = ["-" if np.isnan(mean) else f"{mean:.2f}" for mean in means]
            print(f"| {peer.name} | " + " | ".join(cells) + " |", flush=True)


def best(picture: NDArray[np.uint8], peer: Peer, rates: list[float]) -> list[float]:
    """Return the best PSNR of ``peer`` within each rate; NaN where not even its worst fits."""
    height, width = picture.shape[:2]
    results = []
    for rate in rates:
        limit = int(rate * height * width / 8)
        found = [within(picture, peer, reduction, limit) for reduction in REDUCTIONS]
        results.append(max((f for f in found if f is not None), default=float("nan")))
    return results


def within(picture: NDArray[np.uint8], peer: Peer, reduction: int, limit: int) -> float | None:
    """Return the PSNR of the best setting of at most ``limit`` bytes, found by bisection."""
    height, width = picture.shape[:2]
    original = Image.fromarray(picture)
    size = (max(1, width // reduction), max(1, height // reduction))
    reduced = original if reduction == 1 else original.resize(size, Image.Resampling.LANCZOS)
    low, high, fitting = 0, len(peer.settings) - 1, None
    while low <= high:
        middle = (low + high) // 2
        data = encoded(reduced, peer, middle)
        if len(data) <= limit:
            fitting, low = data, middle + 1
        else:
            high = middle - 1
    if fitting is None:
        return None
    with Image.open(io.BytesIO(fitting)) as decoded:
        enlarged = decoded.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    return psnr(np.asarray(enlarged), picture)


def encoded(image: Image.Image, peer: Peer, index: int) -> bytes:
    """Return ``image`` in the peer's format at its ``index``-th setting."""
    buffer = io.BytesIO()
    image.save(buffer, peer.format, **peer.settings[index])
    return buffer.getvalue()


if __name__ == "__main__":
    main()
