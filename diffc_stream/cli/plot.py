"""``diffc inspect --plot``: draw what a stream spends its bytes on, and the quality it reaches."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from diffc_stream.codec.curve import Curve
from diffc_stream.container import Header, Kind
from diffc_stream.destination import writing
from diffc_stream.diffusion import octaves
from diffc_stream.errors import MissingPackage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".svg", ".png", ".pdf")
"""Suffixes of the formats that plots are written in."""
COLOURS = ("#f2b134", "#e8743b", "#d1495b", "#9b4f96", "#4f6db8", "#3a9fbf", "#3aa17e", "#8fb339")
"""Colours of octaves, the coarsest first; if there are more octaves, the finest share the last."""
TRUE, HINDSIGHT, FORESEEN = "#1b1b1b", "#2a6fb0", "#b04a2a"
LABELLED = 0.06
"""Smallest share of all bytes for which a bar has room for a label."""

Point: TypeAlias = tuple[int, float]
"""PSNR in dB after so many bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """A step, and the bytes that it took."""

    begin: int
    """Where it stands in the stream."""
    end: int
    """Where it ends, its checks included, or where the stream does."""
    octave: int
    """The octave that it refines or opens; 0 is the finest."""
    kind: Kind


def out(text: str) -> Path:
    """Return the path of a plot, for argparse."""
    path = Path(text)
    if path.suffix.lower() not in FORMATS:
        raise argparse.ArgumentTypeError(f"{text} ends with none of {', '.join(FORMATS)}")
    return path


def require() -> None:
    """Raise MissingPackage unless plots can be drawn."""
    try:
        import matplotlib as mpl  # noqa: F401
    except ImportError as error:
        raise MissingPackage("plots need pip install 'diffc-stream[plot]'") from error


def spent(header: Header, steps: Sequence[tuple[Kind, int]], end: int) -> list[Spent]:
    """Return what was spent by ``steps``, each with where it begins, of a stream that ends there.

    Its first step begins after the header, in the coarsest octave.
    """
    octave = len(octaves.sizes(header.height, header.width)) - 1
    listed = []
    for (kind, begin), (_, until) in pairwise([*steps, (Kind.REFINE, end)]):
        if kind is Kind.OPEN:
            octave = max(octave - 1, 0)
        listed.append(Spent(begin=begin, end=until, octave=octave, kind=kind))
    return listed


def predicted(data: bytes) -> tuple[list[Point], list[Point]]:
    """Return the PSNR to expect after each step: as foreseen there, and in hindsight, at the end.

    Told from the stream alone; at its end both are the same.
    """
    whole = Curve()
    whole.feed(data)
    offsets = whole.offsets[1:]
    so_far, foreseen, fed = Curve(), list[float](), 0
    for offset in offsets:
        so_far.feed(data[fed:offset])
        fed = offset
        foreseen.append(so_far.psnr()[-1])
    hindsight = whole.psnr()[1:]
    return (
        list(zip(offsets, foreseen, strict=True)),
        list(zip(offsets, hindsight, strict=True)),
    )


def draw(
    path: Path,
    name: str,
    header: Header,
    steps: Sequence[tuple[Kind, int]],
    data: bytes,
    true: Sequence[Point],
) -> None:
    """Write a plot of the stream ``data`` to ``path``, wholly or not at all.

    ``steps`` are as for :func:`spent`; ``true`` is what pictures of its beginnings have, if that
    is known.  Raises MissingPackage, OSError.
    """
    require()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style = {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "svg.hashsalt": "diffc-stream",  # the same stream gives the same file
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(9.0, 6.6), dpi=150, layout="constrained")
        size = f"{header.width} x {header.height} pixels, {len(data):,} bytes"
        title = figure.suptitle(f"{name}: {size}", x=0.01, ha="left", fontsize=11)
        title.set(fontweight="bold", parse_math=False)  # a name may have dollars in it
        _draw(figure, header, spent(header, steps, len(data)), data, true)
        kind = path.suffix[1:].lower()
        dateless = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
        with writing(path) as file:
            figure.savefig(file, format=kind, metadata=dateless)


def _draw(
    figure: Figure, header: Header, steps: Sequence[Spent], data: bytes, true: Sequence[Point]
) -> None:
    grid = figure.add_gridspec(3, 1, height_ratios=(3.0, 1.7, 0.55))
    colours = _colours(header, steps)
    _qualities(figure.add_subplot(grid[0]), header, steps, data, true, colours)
    _steps(figure.add_subplot(grid[1]), steps, colours)
    _octaves(figure.add_subplot(grid[2]), header, steps, len(data), colours)


def _colours(header: Header, steps: Sequence[Spent]) -> dict[int, str]:
    coarsest = len(octaves.sizes(header.height, header.width)) - 1
    found = sorted({coarsest, *(step.octave for step in steps)}, reverse=True)
    return {octave: COLOURS[min(i, len(COLOURS) - 1)] for i, octave in enumerate(found)}


def _qualities(
    axes: Axes,
    header: Header,
    steps: Sequence[Spent],
    data: bytes,
    true: Sequence[Point],
    colours: dict[int, str],
) -> None:
    foreseen, hindsight = predicted(data)
    sizes = octaves.sizes(header.height, header.width)
    # Before the end of the first step there is no picture.
    first = min(steps[0].end if steps else 1, len(data) - 1)
    for octave, colour in colours.items():
        within = [step for step in steps if step.octave == octave]
        if within:
            begin, end = within[0].begin, within[-1].end
            axes.axvspan(begin, end, color=colour, alpha=0.16, linewidth=0)
            height, width = sizes[octave]
            # In the middle, as the eye sees it, of an axis that is logarithmic.
            place = (max(begin, first) * end) ** 0.5
            axes.annotate(
                f"{width} x {height}",
                (place, 0.02),
                xycoords=("data", "axes fraction"),
                ha="center",
                fontsize=7,
                alpha=0.8,
                annotation_clip=False,
            )
    if true:
        axes.plot(*zip(*true, strict=True), color=TRUE, linewidth=2.2, label="true")
    if foreseen:
        dashed = (0, (4, 1.5))
        label = "predicted in hindsight, by whoever has the whole stream"
        axes.plot(*zip(*hindsight, strict=True), color=HINDSIGHT, linewidth=1.6, label=label)
        label = "foreseen by the receiver, from what it had"
        axes.plot(
            *zip(*foreseen, strict=True), color=FORESEEN, linewidth=1.4, ls=dashed, label=label
        )
    axes.set_xscale("log")
    axes.set_xlim(first, len(data))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlabel("bytes received")
    axes.set_title("PSNR (dB) of the picture, over the bytes it was made of")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(loc="upper left", frameon=False, fontsize=8)
    pixels = header.width * header.height

    def rate(nbytes: Any) -> Any:
        return 8 * nbytes / pixels

    def nbytes(rate: Any) -> Any:
        return rate * pixels / 8

    rates = axes.secondary_xaxis("top", functions=(rate, nbytes))
    rates.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    rates.set_xlabel("bits per pixel", fontsize=8)
    rates.tick_params(labelsize=8)


def _steps(axes: Axes, steps: Sequence[Spent], colours: dict[int, str]) -> None:
    for number, step in enumerate(steps):
        opening = step.kind is Kind.OPEN
        axes.bar(
            number,
            step.end - step.begin,
            width=0.82,
            color=colours[step.octave],
            edgecolor="#1b1b1b" if opening else "none",
            linewidth=0.9,
        )
    axes.margins(x=0.01)
    if steps:
        axes.set_yscale("log")
    axes.set_xlabel("step; those that open an octave have an outline")
    axes.set_title("Bytes of each step")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.grid(alpha=0.3, axis="y")
    axes.set_axisbelow(True)


def _octaves(
    axes: Axes, header: Header, steps: Sequence[Spent], nbytes: int, colours: dict[int, str]
) -> None:
    sizes = octaves.sizes(header.height, header.width)
    left = 0
    for octave, colour in colours.items():
        taken = sum(step.end - step.begin for step in steps if step.octave == octave)
        axes.barh(0, taken, left=left, color=colour, height=0.9)
        height, width = sizes[octave]
        label = f"{width} x {height}\n{taken:,} bytes, {taken / nbytes:.0%}"
        if taken > LABELLED * nbytes:
            axes.text(left + taken / 2, 0, label, ha="center", va="center", fontsize=7)
        left += taken
    axes.set_xlim(0, max(left, 1))
    axes.set_title("Bytes of each octave")
    axes.axis("off")
