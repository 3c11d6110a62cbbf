"""A comparison as plots, SVG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from diffc_stream.destination import writing

from . import progressive
from .ours import DIAL
from .record import OURS, TITLES, Record, measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLES: dict[str, dict[str, Any]] = {
    f"{OURS} mmse": {"color": "#c00000", "linewidth": 2.4},
    f"{OURS} flow": {"color": "#e07000", "linewidth": 2.4},
    f"{OURS} ancestral": {"color": "#d0b000", "linewidth": 1.4},
    "JPEG": {"color": "#a0a0a0"},
    "WebP": {"color": "#707070"},
    "JPEG 2000": {"color": "#40a060"},
    "JPEG XL": {"color": "#2090c0"},
    "AVIF": {"color": "#3050c0"},
    "HEIC": {"color": "#8040b0"},
    "VVC": {"color": "#000000"},
}


def draw(record: Record, folder: Path) -> list[Path]:
    """Write all plots into ``folder`` and return their paths."""
    return [
        curves(record, folder / "curves.svg"),
        dial(record, folder / "dial.svg"),
        beginnings(record, folder / "beginnings.svg"),
    ]


def curves(record: Record, path: Path) -> Path:
    """Plot every measure against the rate."""
    measures = measured(record)
    columns = min(2, len(measures))
    rows = -(-len(measures) // columns)
    figure = Figure(figsize=(5.2 * columns, 3.7 * rows), layout="constrained")
    for number, measure in enumerate(measures, start=1):
        axes = figure.add_subplot(rows, columns, number)
        for name, values in record.rows(measure).items():
            points = [(r, v) for r, v in zip(record.rates, values, strict=True) if v is not None]
            if points:
                style = {"linewidth": 1.4, **STYLES.get(name, {})}
                axes.plot(*zip(*points, strict=True), marker=".", label=name, **style)
        _rates(axes, record)
        axes.set_title(TITLES[measure] + (" (less is better)" if measure == "patches" else ""))
        if measure == "patches":
            axes.set_yscale("log")
        if measure == "ssimulacra2":
            axes.set_ylim(bottom=max(-60.0, axes.get_ylim()[0]))
        if number == 1:
            axes.legend(fontsize=8)
    return _saved(figure, path)


def dial(record: Record, path: Path) -> Path:
    """Plot PSNR against the distance between patches over the dial, one line per rate."""
    figure = Figure(figsize=(5.2, 3.9), layout="constrained")
    axes = figure.add_subplot()
    for index, rate in enumerate(record.rates):
        points = []
        for name in ("mmse", *(f"dial {position:g}" for position in DIAL), "flow"):
            distance, decibels = (record.ours(m, name)[index] for m in ("patches", "psnr"))
            if distance is not None and decibels is not None:
                points.append((distance, decibels))
        if len(points) > 2:
            axes.plot(*zip(*points, strict=True), marker="o", label=f"{rate:g} bpp")
    axes.set_xlabel("distance between patches")
    axes.set_ylabel("PSNR, dB")
    axes.set_title("The dial, from mmse (right) to flow (left)")
    if axes.lines:
        axes.legend(fontsize=8)
    return _saved(figure, path)


def beginnings(record: Record, path: Path) -> Path:
    """Plot what the beginnings of files show."""
    figure = Figure(figsize=(5.2, 3.9), layout="constrained")
    axes = figure.add_subplot()
    means = progressive.mean([entry for found in record.beginnings.values() for entry in found])
    for codec, shares in means.items():
        points = [(100 * s, v) for s, v in shares.items() if v is not None]
        if points:
            style = {"linewidth": 1.4, **STYLES.get(codec, STYLES.get(f"{codec} mmse", {}))}
            axes.plot(*zip(*points, strict=True), marker="o", label=codec, **style)
    axes.set_xscale("log")
    axes.set_xlabel(f"per cent of a file of {record.beginning_rate:g} bpp")
    axes.set_ylabel("PSNR, dB")
    axes.set_title("What the beginning of a file shows")
    axes.legend(fontsize=8)
    return _saved(figure, path)


def _rates(axes: Axes, record: Record) -> None:
    axes.set_xscale("log")
    axes.set_xticks(list(record.rates), [f"{rate:g}" for rate in record.rates])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("bits per pixel")
    axes.grid(alpha=0.3)


def _saved(figure: Figure, path: Path) -> Path:
    # The same figures give the same file.
    with (
        mpl.rc_context({"svg.hashsalt": OURS, "font.size": 9}),
        writing(path) as file,
    ):
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})
    return path
