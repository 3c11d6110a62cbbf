"""What was measured of channel simulation, and its tables; see channel_simulation.py for heads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from . import ideal
from .closed_loop import PUBLISHED, Cell, Chained, Curve
from .ideal import Compared

Estimate = tuple[float, float | None]
"""A mean and its standard error; None where there is only one chain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a simulator came to at one size of step."""

    simulator: str
    cell: Cell
    chains: int
    bits: float
    """Of a step, on average."""
    over_ideal_bits: Estimate
    over_ideal_chain: Estimate
    bound: float
    encoder_seconds: float
    """Of a step, of all processors together."""
    decoder_seconds: float
    operations: float
    """Additions, or products added up, per dimension; 0 where they are hardly any."""
    published_time: float | None
    """Encoder seconds with the published parameters over this simulator's."""
    variance: Estimate
    kurtosis: Estimate
    neighbours: Estimate
    along_x: Estimate
    along_error: Estimate
    """Over steps: the mean, and the standard deviation of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that was measured."""

    commit: str
    machine: str
    jobs: int
    model: str | None
    rows: Sequence[Row]
    pictures: Sequence[Compared]
    notes: Sequence[str]
    """What was left out, and why."""
    chains: Sequence[Chained]
    curves: Sequence[Curve]

    def json(self) -> str:
        """Return everything as JSON."""
        return json.dumps(asdict(self), indent=1, allow_nan=False)


def markdown(record: Record) -> str:
    """Return the figures as Markdown."""
    parts = [f"Commit {record.commit}, {record.machine}, {record.jobs} processes."]
    if record.rows:
        parts += [_bits(record.rows), _work(record.rows), _noise(record.rows)]
    if record.pictures:
        parts += [f"Model {record.model}.", _ratios(record.pictures), _accounts(record.pictures)]
        parts.append(_reproductions(record.pictures))
    parts += [f"- {note}" for note in record.notes]
    return "\n\n".join(parts)


def _bits(found: Sequence[Row]) -> str:
    best = {row.cell: row.over_ideal_chain[0] for row in found if row.simulator == PUBLISHED.name}
    cells = []
    for row in found:
        over = row.over_ideal_chain[0]
        fewer = f"{100 * (1 - over / best[row.cell]):.0f} %" if row.cell in best else "-"
        cells.append(
            [
                *_named(row),
                str(row.chains),
                f"{row.bits:,.1f}",
                _precise(row.over_ideal_bits),
                _precise(row.over_ideal_chain),
                f"{row.bound:.3f}",
                "-" if row.simulator == PUBLISHED.name else fewer,
            ]
        )
    heads = ["chains", "bits a step", "/ ideal_bits", "/ ideal chain", "bound"]
    return _table([*_NAMES, *heads, "fewer bits than published"], cells)


def _work(found: Sequence[Row]) -> str:
    cells = []
    for row in found:
        if not row.encoder_seconds:
            continue
        spent, read = 1e6 * row.encoder_seconds, 1e6 * row.decoder_seconds
        cells.append(
            [
                *_named(row),
                f"{spent / row.cell.dims:.3g}",
                f"{spent / row.bits:.3g}",
                f"{read / row.cell.dims:.3g}",
                f"{read / row.bits:.3g}",
                f"{row.operations:,.0f}" if row.operations else "-",
                f"{row.published_time:,.1f}" if row.published_time else "-",
            ]
        )
    heads = ["encoder µs/dim", "µs/bit", "decoder µs/dim", "µs/bit", "additions/dim"]
    return _table([*_NAMES, *heads, "published time / this"], cells)


def _noise(found: Sequence[Row]) -> str:
    cells = [
        [
            *_named(row),
            _precise(row.variance),
            _precise(row.along_error, "+.2f"),
            _precise(row.along_x, "+.2f"),
            _precise(row.kurtosis),
            _precise(row.neighbours, "+.4f"),
        ]
        for row in found
    ]
    heads = ["variance", "along error", "along x", "kurtosis", "neighbours"]
    return _table([*_NAMES, *heads], cells)


_NAMES = ("step", "values", "steps", "simulator")


def _named(row: Row) -> list[str]:
    cell = row.cell
    return [f"{cell.bits:,} bits", f"{cell.dims:,}", str(cell.steps), row.simulator]


def _ratios(found: Sequence[Compared]) -> str:
    """Return bits over those of the ideal chain: pictures of the first schedule, means of all."""
    growths = list(dict.fromkeys(entry.growth for entry in found[0].streams))
    rates = list(dict.fromkeys(_rate(entry) for entry in _rated(found[0], growths[0])))
    cells = []
    for growth in growths:
        figures = [_figures(picture, growth) for picture in found]
        named = zip([picture.image for picture in found], figures, strict=True)
        cells += [[f"{growth:g}", name, *_shown(line)] for name, line in named]
        means = [_mean(column) for column in zip(*figures, strict=True)]
        cells.append([f"{growth:g}", "**mean**", *_shown(means)])
    heads = [f"{rate:g} bpp" for rate in rates]
    return _table(
        ["growth", "picture", *heads, *(f"evaluations to {rate:g}" for rate in rates)], cells
    )


def _figures(picture: Compared, growth: float) -> list[float | None]:
    streams = _rated(picture, growth)
    ratios: list[float | None] = [entry.ratio for entry in streams]
    return ratios + [entry.report.evaluations for entry in streams]


def _rated(picture: Compared, growth: float) -> list[ideal.Streamed]:
    return [entry for entry in picture.streams if entry.growth == growth and entry.rate]


def _rate(entry: ideal.Streamed) -> float:
    return entry.rate or 0.0


def _accounts(found: Sequence[Compared]) -> str:
    """Return means over pictures of what streams say of themselves."""
    groups: dict[tuple[float, str], list[ideal.Streamed]] = {}
    for picture in found:
        for entry in picture.streams:
            name = f"{entry.rate:g} bpp" if entry.rate else f"{entry.target:,} B"
            groups.setdefault((entry.growth, name), []).append(entry)
    cells = []
    for (growth, name), entries in groups.items():
        reports = [entry.report for entry in entries]
        lines: Mapping[str, list[float]] = {
            "{:.3f}": [8 * report.bytes / report.ideal_bits for report in reports],
            "{:.2f} %": [100 * report.side_information_bytes / report.bytes for report in reports],
            "{:.4f}": [report.state_noise for report in reports],
            "{:.1f}": [report.steps for report in reports],
            "{:.2f}": [report.seconds for report in reports],
            "{:.0f} %": [100 * report.rcc_seconds / report.seconds for report in reports],
        }
        shown = [style.format(np.mean(values)) for style, values in lines.items()]
        cells.append([f"{growth:g}", name, *shown])
    heads = ["bits / ideal_bits", "side information", "state noise", "steps", "encode s"]
    return _table(["growth", "stream", *heads, "of it coding"], cells)


def _reproductions(found: Sequence[Compared]) -> str:
    cells = [
        [
            picture.image,
            f"{entry.length:,} B",
            f"{1000 * entry.reproduce_seconds:.1f}",
            f"{1000 * entry.evaluation_seconds:.1f}",
            f"{100 * entry.reproduce_seconds / entry.evaluation_seconds:.1f} %",
        ]
        for picture in found
        for entry in picture.reproduction
    ]
    return _table(["picture", "step", "reproduced in ms", "evaluation ms", "share"], cells)


def _shown(figures: Sequence[float | None]) -> list[str]:
    return ["-" if figure is None else f"{figure:.3f}" for figure in figures]


def _mean(figures: Sequence[float | None]) -> float | None:
    there = [figure for figure in figures if figure is not None]
    return float(np.mean(there)) if len(there) == len(figures) else None


def _precise(estimate: Estimate, style: str = ".3f") -> str:
    mean, error = estimate
    return f"{mean:{style}}" if error is None else f"{mean:{style}} ± {error:{style.lstrip('+')}}"


def _table(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
