"""What reverse channel coding costs: every simulator in a closed loop, and streams of pictures.

    python -m benchmarks.channel_simulation [--quick] [--images DIR [--every 3]] [--json [FILE]]

(``diffc bench rcc`` where installed.)  First chains of steps on a Gaussian vector, whose posterior
mean is known exactly: for each simulator and size of step its bits, its time, and the noise that it
leaves in the state.  Then, with --images, streams of photographs beside an ideal simulator in the
smallest of steps.  Prints Markdown; figures, never a verdict.

    / ideal_bits   bits of all payloads over those of an ideal code for samples that lean so much
    / ideal chain  bits over those at which an ideal simulator, in as many steps, reaches the same
                   error: what counts where samples are distorted
    bound          C + log2(C + 1) + 5 bits for the C bits planned, over C (arXiv 2206.08889)
    published      the parameters of Vonderfecht and Liu (ICLR 2025): chunks of 14 bits, 2^16
                   candidates; rotated, as all others here
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from diffc_stream.destination import writing
from diffc_stream.diffusion.collection import default_model
from diffc_stream.diffusion.model import Model, load_model

from . import ideal
from .closed_loop import (
    CELLS,
    CONTENDERS,
    PUBLISHED,
    QUICK,
    Cell,
    Chained,
    Contender,
    Curve,
    bound,
    operations,
    tasks,
    walked,
)
from .command import count, exit_code
from .ideal import Compared
from .pictures import commit, cores, machine, pictures
from .workers import spread

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


def main(arguments: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Measure and return the exit code; errors are one line on stderr."""
    parsed = _parser(prog or "python -m benchmarks.channel_simulation").parse_args(arguments)
    return exit_code("channel_simulation", lambda: _run(parsed))


def _run(parsed: argparse.Namespace) -> None:
    record = _measured(parsed)
    if parsed.json == "-":
        print(record.json())
        return
    print(markdown(record))
    if parsed.json is not None:
        with writing(Path(parsed.json)) as file:
            file.write(record.json().encode())


def _measured(parsed: argparse.Namespace) -> Record:
    jobs = parsed.jobs or cores()
    cells: Sequence[Cell] = QUICK if parsed.quick else CELLS
    if parsed.bits:
        cells = [cell for cell in cells if cell.bits in parsed.bits]
    cells = [replace(cell, seeds=min(cell.seeds, parsed.seeds)) for cell in cells]
    model: Callable[[], Model] = (
        partial(load_model, parsed.model) if parsed.model else default_model
    )
    chosen = [contender for contender in CONTENDERS if contender.name in parsed.simulators]
    # Before the chains, which take a while: a folder may be wrong.
    paths = pictures(parsed.images, parsed.every) if parsed.images else []
    chains, curves, notes = ([], [], []) if parsed.no_chains else chained(cells, chosen, jobs=jobs)
    found = compared(paths, model, parsed.growth, jobs=jobs)
    named = model() if paths else None
    return Record(
        commit=commit(),
        machine=machine(),
        jobs=jobs,
        model=f"{named.name} {named.fingerprint}" if named else None,
        rows=rows(chains, curves),
        pictures=found,
        notes=notes,
        chains=chains,
        curves=curves,
    )


def chained(
    cells: Sequence[Cell], contenders: Sequence[Contender], *, jobs: int
) -> tuple[list[Chained], list[Curve], list[str]]:
    """Walk the chains; return them, the ideal ones beside them, and what was left out and why."""
    results = spread("chains", walked, tasks(cells, contenders), jobs=jobs, threads=1)
    return (
        [result for result in results if isinstance(result, Chained)],
        [result for result in results if isinstance(result, Curve)],
        list(dict.fromkeys(result for result in results if isinstance(result, str))),
    )


def compared(
    paths: Sequence[Path], model: Callable[[], Model], growths: Sequence[float], *, jobs: int
) -> list[Compared]:
    """Compare the streams of every picture with its ideal chain."""
    work = [ideal.Task(path=path, model=model, growths=tuple(growths)) for path in paths]
    if not work:
        return []
    return spread("pictures", ideal.compared, work, jobs=jobs, threads=max(1, cores() // jobs))


def rows(chains: Sequence[Chained], curves: Sequence[Curve]) -> list[Row]:
    """Return the means over the chains of each simulator and size of step."""
    ideals = {(entry.cell, entry.seed): entry for entry in curves}
    groups: dict[tuple[Cell, str], list[Chained]] = {}
    for chain in chains:
        groups.setdefault((chain.cell, chain.contender), []).append(chain)
    published = {
        cell: _encoding(group) for (cell, name), group in groups.items() if name == PUBLISHED.name
    }
    return [
        _row(group, [ideals[cell, chain.seed] for chain in group], published.get(cell))
        for (cell, _), group in groups.items()
    ]


def _row(group: Sequence[Chained], curves: Sequence[Curve], published: float | None) -> Row:
    cell, name = group[0].cell, group[0].contender
    contender = next(entry for entry in CONTENDERS if entry.name == name)
    encoding = _encoding(group)
    along = np.concatenate([chain.noise.along_error for chain in group])
    return Row(
        simulator=name,
        cell=cell,
        chains=len(group),
        bits=float(np.mean([chain.bits for chain in group])) / cell.steps,
        over_ideal_bits=_estimate([chain.bits / chain.ideal_bits for chain in group]),
        over_ideal_chain=_estimate(
            [
                chain.bits / curve.bits_at(chain.error)
                for chain, curve in zip(group, curves, strict=True)
            ]
        ),
        bound=bound(cell.bits) / cell.bits,
        encoder_seconds=encoding,
        decoder_seconds=float(np.mean([chain.decoder_seconds for chain in group])) / cell.steps,
        operations=operations(contender, cell),
        published_time=published / encoding if published and encoding else None,
        variance=_estimate([chain.noise.variance for chain in group]),
        kurtosis=_estimate([chain.noise.kurtosis for chain in group]),
        neighbours=_estimate([chain.noise.neighbours for chain in group]),
        along_x=_estimate([chain.noise.along_x for chain in group]),
        along_error=(float(along.mean()), float(along.std())),
    )


def _encoding(group: Sequence[Chained]) -> float:
    return float(np.mean([chain.encoder_seconds for chain in group])) / group[0].cell.steps


def _estimate(values: Sequence[float]) -> Estimate:
    error = float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else None
    return float(np.mean(values)), error


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


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="small steps and few chains")
    parser.add_argument("--bits", type=count, nargs="+", help="sizes of steps (default: all)")
    names = [contender.name for contender in CONTENDERS]
    parser.add_argument(
        "--simulators", choices=names, default=names, nargs="+", help="of chains (default: all)"
    )
    parser.add_argument("--seeds", type=count, default=100, help="chains of each size at most")
    parser.add_argument("--no-chains", action="store_true", help="pictures only")
    parser.add_argument("--images", type=Path, metavar="DIR", help="pictures to look at, too")
    parser.add_argument("--every", type=count, default=1, help="take every N-th picture")
    parser.add_argument(
        "--growth",
        type=_growth,
        nargs="+",
        default=(1.25,),
        help="of further schedules: what a step multiplies the signal-to-noise ratio by",
    )
    parser.add_argument("--model", type=Path, metavar="FILE", help="instead of the default model")
    parser.add_argument("--jobs", type=count, help="processes (default: one per core)")
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write everything there too, or to standard output instead of the tables",
    )
    return parser


def _growth(text: str) -> float:
    value = float(text)
    if not 1.02 <= value <= 4:
        raise argparse.ArgumentTypeError(f"{text} is not between 1.02 and 4")
    return value


if __name__ == "__main__":
    sys.exit(main())
