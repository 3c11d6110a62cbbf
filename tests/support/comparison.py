"""A comparison whose figures are made up: two pictures, two rates, one peer."""

from __future__ import annotations

from diffc_benchmarks.contest import Figure
from diffc_benchmarks.ours import DIAL, Point, Streamed
from diffc_benchmarks.progressive import SHARES, Beginning
from diffc_benchmarks.quality import Quality
from diffc_benchmarks.record import PeerRecord, Record
from diffc_stream.codec import EncodeReport

_REPORT = EncodeReport(
    bytes=1000,
    bpp=0.4,
    psnr=31.0,
    steps=9,
    evaluations=3.5,
    ideal_bits=7000.0,
    state_noise=1.0,
    side_information_bytes=60,
    reference=False,
    seconds=1.0,
    rcc_seconds=0.2,
)


def _point(rate: float, rendering: str, psnr: float) -> Point:
    quality = Quality(psnr=psnr, ms_ssim=0.9, ssimulacra2=None, patches=0.2)
    return Point(
        rate=rate, rendering=rendering, bytes=1000, evaluations=2.0, quality=quality, shown="x.npy"
    )


def _streamed(image: str, psnr: float, *, early: bool) -> Streamed:
    points = [_point(0.4, "mmse", psnr), _point(0.4, "flow", psnr - 1)]
    points += [_point(0.4, f"dial {position:g}", psnr - position) for position in DIAL]
    if early:
        points.append(_point(0.1, "mmse", psnr - 5))
    return Streamed(image=image, width=160, height=125, report=_REPORT, points=points)


def _figure(measure: str, value: float) -> Figure:
    return Figure(
        rate=0.4,
        measure=measure,
        value=value,
        bytes=990,
        settings="progressive, quality 30",
        file="a.jpg",
    )


_FIGURES = (_figure("psnr", 32.0), _figure("ms_ssim", 0.8), _figure("patches", 0.3))

EXAMPLE = Record(
    commit="abc",
    machine="a computer, 2 cores",
    versions={"Python": "3.11"},
    seed=0,
    model="small 01234567",
    rates=[0.1, 0.4],
    notes=["HEIC is left out: pip install pillow-heif"],
    seconds={"peers": 12.0},
    streamed=[_streamed("a.png", 30.0, early=True), _streamed("b.png", 32.0, early=False)],
    pooled={
        "mmse": {0.1: 0.5, 0.4: 0.25},
        "flow": {0.1: 0.2, 0.4: 0.1},
        **{f"dial {position:g}": {0.4: 0.25 - 0.1 * position} for position in DIAL},
    },
    peers=[
        PeerRecord(
            name="JPEG",
            version="9",
            settings=[],
            figures={"a.png": _FIGURES, "b.png": _FIGURES},
            pooled={0.4: 0.3},
        )
    ],
    beginnings={
        "a.png": [
            Beginning(codec=codec, share=share, bytes=10, psnr=shown)
            for codec, least in (("diffc-stream", 0.0), ("JPEG", 0.1), ("WebP", 1.0))
            for share in SHARES
            for shown in [20 + 10 * share if share >= least else None]
        ]
    },
    beginning_rate=0.4,
)
