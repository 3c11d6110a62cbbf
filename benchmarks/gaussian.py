"""The analysis of diffusing a Gaussian, in closed form and by running the codec.

    python -m benchmarks.gaussian --images DIR [--every 3] [--out FOLDER] [--json [FILE]]
    python -m benchmarks.gaussian --spectrum docs/gaussian/eigenvalues.json ...

(``diffc bench gaussian`` where installed.)  Fits a Gaussian to 16x16 patches of photographs, or
reads the eigenvalues of an earlier fit, and leaves in FOLDER: eigenvalues.json, record.json
(everything), table.md, curves.svg, gain.svg, snr.svg, covariance.svg and chains.svg.

DiffC-A, DiffC-F, DiffC-A* and DiffC-F* of Theis et al. (arXiv 2206.08889, section 4), isotropic and
pink noise, beside R(D) and R(D/2); chains coded jointly and step by step; the codec's own
renderings of Gaussian pictures.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from diffc_stream.destination import writing
from diffc_stream.diffusion.gaussian import Array, Gaussian
from diffc_stream.flags import integer

from . import gaussian_plots, gaussian_tables, gaussian_trajectories
from .closed_loop import bound
from .command import count, exit_code
from .gaussian_coding import measured
from .gaussian_patches import Fit, fitted, saved
from .gaussian_pictures import TARGETS, Rendered, rendered
from .gaussian_record import Chained, Priors, Record
from .gaussian_schemes import NOISES, Point, coded, covariance, curves
from .gaussian_trajectories import choose, index_bits, schedule
from .pictures import commit, machine, pictures

RATES = (0.02, 0.05, 0.1, 0.2, 0.391, 0.8, 1.6, 2.5)
"""Bits per component at which streams are measured; 0.391 is the paper's."""
SNR_RATE = 0.391
CURVE_RATES = tuple(float(rate) for rate in np.geomspace(0.005, 4.0, 60))
CHAIN_BITS = (6, 8, 10, 12, 14)
CHAIN_STEPS = (1, 2, 4, 8)
CHAIN_COMPONENTS = slice(1, 5)
"""The largest components but the mean of a patch, which would take all of so few bits."""
PRIOR_STEPS = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What is to be analysed."""

    fit: Fit
    samples: int = 4096
    trials: int = 400
    pictures: int = 16
    rates: tuple[float, ...] = RATES
    seed: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


def main(arguments: Sequence[str] | None = None, *, prog: str | None = None) -> int:
    """Run the analysis and return the exit code; errors are one line on stderr."""
    parsed = _parser(prog or "python -m benchmarks.gaussian").parse_args(arguments)
    return exit_code("gaussian", lambda: _run(parsed))


def _run(parsed: argparse.Namespace) -> None:
    fit = (
        saved(parsed.spectrum) if parsed.spectrum else fitted(pictures(parsed.images, parsed.every))
    )
    parsed.out.mkdir(parents=True, exist_ok=True)
    fit.save(parsed.out / "eigenvalues.json")
    record = analyse(
        Analysis(
            fit=fit,
            samples=parsed.samples,
            trials=parsed.trials,
            pictures=parsed.pictures,
            rates=RATES,
            seed=parsed.seed,
        )
    )
    _leave(record, parsed.out)
    if parsed.json == "-":
        print(record.json())
        return
    if parsed.json is not None:
        record.save(Path(parsed.json))
    print(f"{parsed.out / 'table.md'}")


def analyse(analysis: Analysis) -> Record:
    """Compute the closed forms and measure everything."""
    gaussian = analysis.fit.gaussian
    few = Gaussian(gaussian.variances[CHAIN_COMPONENTS])
    drawn = gaussian.sample(np.random.default_rng(analysis.seed), analysis.samples)
    return Record(
        commit=commit(),
        machine=machine(),
        seed=analysis.seed,
        pictures=analysis.fit.pictures,
        patches=analysis.fit.patches,
        samples=analysis.samples,
        trials=analysis.trials,
        variances=gaussian.variances.tolist(),
        curves=curves(gaussian, CURVE_RATES),
        points=_points(analysis),
        source=covariance(gaussian, drawn),
        snr_rate=min(analysis.rates, key=lambda rate: abs(rate - SNR_RATE)),
        chained=_chained(analysis, few),
        chained_variances=few.variances.tolist(),
        priors=priors(gaussian, analysis.rates),
        rendered=_rendered(analysis),
        seconds=analysis.seconds,
    )


def priors(gaussian: Gaussian, rates: Sequence[float]) -> list[Priors]:
    """Return what chains cost by the receiver's prior, at the rates nearest to 0.1, 0.4 and 1.6."""
    found = []
    for rate in sorted({min(rates, key=lambda r: abs(r - wanted)) for wanted in (0.1, 0.4, 1.6)}):
        for steps in PRIOR_STEPS:
            known = schedule(gaussian, rate * gaussian.components, steps)
            growth = float(known[-1][0] / known[-2][0]) if steps > 1 else float("inf")
            sums = gaussian_trajectories.sums(gaussian, known)
            found.append(Priors(rate=rate, steps=steps, growth=growth, sums=sums))
    return found


def chained(gaussian: Gaussian, bits: float, steps: int, trials: int, seed: int) -> Chained:
    """Code a chain for ``trials`` samples, jointly and step by step."""
    known = schedule(gaussian, bits, steps)
    rng = np.random.default_rng((seed, int(bits), steps))
    joint: list[tuple[float, float]] = []
    stepwise: list[tuple[float, float]] = []
    inexact = 0
    for trial, x in enumerate(gaussian.sample(rng, trials)):
        nothing = np.zeros(gaussian.components)
        whole = choose(gaussian, x, nothing, known, (seed, int(bits), steps, trial))
        inexact += not whole.exact
        joint.append((index_bits(whole.index, bits), _missed(gaussian, x, whole.trajectory, known)))
        eta, spent = nothing, 0.0
        for step in range(steps):
            key = (seed, int(bits), steps, trial, step + 1)
            part = choose(gaussian, x, eta, known[step : step + 2], key)
            spent += index_bits(part.index, bits / steps)
            eta = part.trajectory[-1]
        stepwise.append((spent, _missed(gaussian, x, eta[None], known)))
    return Chained(
        information=bits,
        steps=steps,
        joint=measured(np.array(joint)[:, 0]),
        stepwise=measured(np.array(stepwise)[:, 0]),
        joint_bound=bound(bits),
        stepwise_bound=steps * bound(bits / steps),
        joint_error=measured(np.array(joint)[:, 1]),
        stepwise_error=measured(np.array(stepwise)[:, 1]),
        theory=gaussian.mean_error(known[-1]),
        inexact=inexact / trials,
    )


def _missed(gaussian: Gaussian, x: Array, trajectory: Array, known: Sequence[Array]) -> float:
    return float(((x - trajectory[-1] * gaussian.posterior(known[-1])) ** 2).mean())


def _points(analysis: Analysis) -> list[Point]:
    gaussian, points = analysis.fit.gaussian, []
    with _part(analysis, "schemes", len(NOISES) * len(analysis.rates)) as advance:
        for noise in NOISES:
            before = None
            for point in coded(gaussian, noise, analysis.rates, analysis.samples, analysis.seed):
                points.append(point)
                if point.wanted != before:
                    advance()
                before = point.wanted
    return points


def _chained(analysis: Analysis, few: Gaussian) -> list[Chained]:
    found = []
    with _part(analysis, "chains", len(CHAIN_BITS) * len(CHAIN_STEPS)) as advance:
        for bits in CHAIN_BITS:
            for steps in CHAIN_STEPS:
                found.append(chained(few, bits, steps, analysis.trials, analysis.seed))
                advance()
    return found


def _rendered(analysis: Analysis) -> list[Rendered]:
    found = []
    with _part(analysis, "pictures", len(TARGETS)) as advance:
        for target in TARGETS:
            found.append(rendered(target, analysis.pictures, analysis.seed))
            advance()
    return found


def _leave(record: Record, folder: Path) -> None:
    # First of all, so that nothing measured is lost to what a plot trips over.
    record.save(folder / "record.json")
    with writing(folder / "table.md") as file:
        file.write(gaussian_tables.markdown(record).encode())
    gaussian_plots.draw(record, folder)


@contextmanager
def _part(analysis: Analysis, name: str, total: int) -> Iterator[Callable[[], None]]:
    """Show the progress of a part on stderr, and note how long it took."""
    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    began = time.monotonic()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=total)
        yield lambda: progress.advance(task)
    analysis.seconds[name] = round(time.monotonic() - began, 1)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=Path, metavar="DIR", help="fit photographs")
    source.add_argument("--spectrum", type=Path, metavar="FILE", help="an eigenvalues.json")
    parser.add_argument("--every", type=count, default=1, help="take every N-th picture")
    parser.add_argument(
        "--out", type=Path, default=Path("gaussian"), metavar="FOLDER", help="of results"
    )
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write the record there too, or to standard output",
    )
    several = integer(2, 100_000)
    parser.add_argument("--samples", type=several, default=4096, help="coded, of every scheme")
    parser.add_argument("--trials", type=several, default=400, help="of every chain")
    parser.add_argument("--pictures", type=several, default=16, help="coded at every length")
    parser.add_argument("--seed", type=integer(0, 2**32 - 1), default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
