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
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from diffc_stream.destination import writing
from diffc_stream.diffusion.collection import default_model
from diffc_stream.diffusion.model import Model, load_model

from . import ideal
from .channel_tables import Estimate, Record, Row, markdown
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
