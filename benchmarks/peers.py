"""The codecs people use: which files they give for so many bytes.

    python -m benchmarks.peers --images DIR [--every 3] [--rates 0.05 0.1 0.2 0.4]

Every codec that Pillow was built with or has a plug-in for, at full size and reduced 2, 4 and 8
times (Lanczos), then enlarged (bicubic); per picture and rate the best of all settings that stay
within the bytes.  Real files, headers and all.  Prints versions, settings and a Markdown table of
mean PSNR in dB; ``benchmarks.rate_distortion`` is the whole comparison.
"""

from __future__ import annotations

import argparse
import importlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from math import inf, log
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, features
from rich.console import Console
from rich.progress import Progress

from diffc_stream.metrics import psnr
from diffc_stream.picture import load_picture

from . import vvc
from .pictures import pictures

LARGEST_RATES = {1: inf, 2: 0.8, 4: 0.2, 8: 0.05}
"""Reductions, and up to how many bits per pixel they are tried; above, they never were best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Settings of one kind, which differ in how many bytes they take."""

    name: str
    options: Mapping[str, object]
    knob: str = "quality"
    """The option that makes files larger."""
    positions: Sequence[object]
    """Of the knob, from fewest bytes to most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A codec."""

    name: str
    format: str
    """What Pillow calls it."""
    suffix: str
    feature: str = ""
    """What Pillow calls it in its list of features, if it is one of them."""
    plugin: tuple[str, str] | None = None
    """Otherwise: the distribution to install, and the module to import."""
    families: tuple[Family, ...]

    def version(self) -> str | None:
        """Return what encodes, after making it ready; None if it is not installed."""
        if self.plugin is None:
            return _built_in(self.feature)
        distribution, module = self.plugin
        try:
            loaded = importlib.import_module(module)
        except ImportError:
            return None
        if self.format == "VVC":
            ffmpeg = vvc.register(loaded.get_ffmpeg_exe())
            return ffmpeg and f"{distribution} {metadata.version(distribution)}, ffmpeg {ffmpeg}"
        if self.format == "HEIF":
            loaded.register_heif_opener(thumbnails=False)
            library = loaded.libheif_info()["HEIF"]
            return f"{distribution} {metadata.version(distribution)}, {library}"
        return f"{distribution} {metadata.version(distribution)}"

    @property
    def settings(self) -> object:
        """All that decides on the files, beside the version."""
        return self.format, [
            (family.name, dict(family.options), family.knob, list(family.positions))
            for family in self.families
        ]

    def missing(self) -> str:
        """Return what to do about it not being installed."""
        if self.plugin is None:
            return f"{self.name} is left out: this Pillow was built without it"
        return f"{self.name} is left out: pip install {self.plugin[0]}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attempt:
    """A file within the bytes allowed, and the picture in it."""

    data: bytes
    settings: str
    picture: NDArray[np.uint8]
    """Enlarged to the original's size, (H, W, 3)."""


_AVIF_QUALITIES = tuple(100 - round(k * 100 / 63) for k in range(63, 5, -1))
"""One for each quantiser that there is."""

PEERS = (
    Peer(
        name="JPEG",
        feature="jpg",
        format="JPEG",
        suffix=".jpg",
        families=(
            Family(
                name="progressive",
                options={"optimize": True, "progressive": True},
                positions=range(1, 96),
            ),
        ),
    ),
    Peer(
        name="WebP",
        feature="webp",
        format="WEBP",
        suffix=".webp",
        families=(Family(name="method 6", options={"method": 6}, positions=range(96)),),
    ),
    Peer(
        name="JPEG 2000",
        feature="jpg_2000",
        format="JPEG2000",
        suffix=".jp2",
        families=(
            Family(
                name="irreversible, with colour transform",
                options={"quality_mode": "rates", "irreversible": True, "mct": 1},
                knob="quality_layers",
                positions=tuple([1200 * 0.93**i] for i in range(76)),
            ),
        ),
    ),
    Peer(
        name="JPEG XL",
        plugin=("pillow-jxl-plugin", "pillow_jxl"),
        format="JXL",
        suffix=".jxl",
        families=(
            Family(
                name="effort 7",
                options={"effort": 7, "num_threads": 1},
                positions=range(1, 98),
            ),
        ),
    ),
    Peer(
        name="AVIF",
        feature="avif",
        format="AVIF",
        suffix=".avif",
        families=(
            Family(
                name="speed 4, as tuned by default, 4:2:0",
                options={"speed": 4, "max_threads": 1},
                positions=_AVIF_QUALITIES,
            ),
            Family(
                name="speed 4, tuned for PSNR, 4:4:4",
                options={
                    "speed": 4,
                    "max_threads": 1,
                    "subsampling": "4:4:4",
                    "advanced": {"tune": "psnr"},
                },
                positions=_AVIF_QUALITIES,
            ),
        ),
    ),
    Peer(
        name="HEIC",
        plugin=("pillow-heif", "pillow_heif"),
        format="HEIF",
        suffix=".heic",
        families=(
            Family(
                name="x265 placebo, as tuned by default, 4:2:0",
                options={"enc_params": {"preset": "placebo"}},
                positions=range(96),
            ),
            Family(
                name="x265 placebo, tuned for PSNR, 4:4:4",
                options={"chroma": 444, "enc_params": {"preset": "placebo", "tune": "psnr"}},
                positions=range(96),
            ),
        ),
    ),
    Peer(
        name="VVC",
        plugin=("imageio-ffmpeg", "imageio_ffmpeg"),
        format="VVC",
        suffix=".266",
        families=(
            Family(
                name="intra, VVenC medium, without perceptual adaptation, 4:4:4",
                options={"preset": "medium"},
                knob="qp",
                positions=range(63, 11, -1),
            ),
        ),
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="take every N-th picture")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.05, 0.1, 0.2, 0.4])
    arguments = parser.parse_args()
    paths = pictures(arguments.images, arguments.every)
    versions = {peer: peer.version() for peer in PEERS}
    peers = [peer for peer in PEERS if versions[peer] is not None]
    for peer in PEERS:
        print(f"{peer.name}: {versions[peer]}" if peer in peers else peer.missing())
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


def best(picture: NDArray[np.uint8], peer: Peer, rates: Sequence[float]) -> list[float]:
    """Return the best PSNR of ``peer`` within each rate; NaN where not even its worst fits."""
    return [
        max((psnr(attempt.picture, picture) for attempt in found), default=float("nan"))
        for found in attempts(picture, peer, rates)
    ]


def attempts(
    picture: NDArray[np.uint8], peer: Peer, rates: Sequence[float]
) -> Iterator[list[Attempt]]:
    """Yield, for each rate in bits per pixel, the largest files within it.

    One for each family of settings and each reduction, unless not even the smallest fits.
    """
    height, width = picture.shape[:2]
    searches = [
        (reduction, largest, Search(_reduced(picture, reduction), peer, family, reduction))
        for family in peer.families
        for reduction, largest in LARGEST_RATES.items()
    ]
    for rate in rates:
        limit = int(rate * height * width / 8)
        found = []
        for _, largest, search in searches:
            file = search.within(limit) if rate <= largest else None
            if file is not None:
                data, settings = file
                shown = enlarged(data, height, width)
                found.append(Attempt(data=data, settings=settings, picture=shown))
        yield found


def enlarged(data: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """Return the picture in a peer's file at the size given, (height, width, 3)."""
    with Image.open(io.BytesIO(data)) as decoded:
        image = decoded.convert("RGB")
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(image)


class Search:
    """Looks for the setting that fills so many bytes, and remembers what it tried."""

    def __init__(self, image: Image.Image, peer: Peer, family: Family, reduction: int = 1) -> None:
        self._image, self._format, self._family = image, peer.format, family
        self._reduction = reduction
        self._tried: dict[int, bytes] = {}

    def within(self, limit: int) -> tuple[bytes, str] | None:
        """Return the largest file of at most ``limit`` bytes, and its settings, or None.

        Sizes are taken to grow with the knob, as they do but for a few bytes.
        """
        try:
            if len(self._encoded(0)) > limit:
                return None
        except (OSError, RuntimeError, ValueError):
            return None  # too small a picture for this encoder
        low, high = self._bracket(limit)
        even = False
        while high - low > 1:
            # Where the logarithm of the size points to, and half-way by turns, which never stalls.
            share = 0.5 if even else self._share(low, high, limit)
            even = not even
            middle = min(max(low + round(share * (high - low)), low + 1), high - 1)
            if len(self._encoded(middle)) <= limit:
                low = middle
            else:
                high = middle
        position = self._family.positions[low]
        settings = f"{self._family.name}, {self._family.knob} {_shown(position)}"
        if self._reduction > 1:
            settings += f", reduced {self._reduction} times"
        return self._encoded(low), settings

    def _bracket(self, limit: int) -> tuple[int, int]:
        """Return two indices of which the first fits and the second, if there is one, does not.

        Goes up in ever longer strides, because the largest files take the longest by far.
        """
        last, stride = len(self._family.positions) - 1, 1 + len(self._family.positions) // 8
        low = max(index for index, data in self._tried.items() if len(data) <= limit)
        above = [i for i, data in self._tried.items() if len(data) > limit and i > low]
        while not above and low < last:
            index = min(low + stride, last)
            if len(self._encoded(index)) <= limit:
                low, stride = index, 2 * stride
            else:
                above = [index]
        return low, min(above, default=low + 1)

    def _share(self, low: int, high: int, limit: int) -> float:
        least, most = len(self._tried[low]), len(self._tried[high])
        return log(limit / least) / log(most / least) if most > least else 0.5

    def _encoded(self, index: int) -> bytes:
        if index not in self._tried:
            family = self._family
            options = {**family.options, family.knob: family.positions[index]}
            buffer = io.BytesIO()
            self._image.save(buffer, self._format, **options)
            self._tried[index] = buffer.getvalue()
        return self._tried[index]


def _reduced(picture: NDArray[np.uint8], reduction: int) -> Image.Image:
    image = Image.fromarray(picture)
    if reduction == 1:
        return image
    size = (max(1, image.width // reduction), max(1, image.height // reduction))
    return image.resize(size, Image.Resampling.LANCZOS)


def _built_in(feature: str) -> str | None:
    if not features.check(feature):
        return None
    return f"Pillow {PIL.__version__}, {features.version(feature) or 'version not told'}"


def _shown(position: object) -> str:
    if isinstance(position, list):
        return " ".join(f"{entry:.4g}" for entry in position)
    return str(position)


if __name__ == "__main__":
    main()
