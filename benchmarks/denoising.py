"""How well a model denoises: white Gaussian noise on photographs, as papers on denoising do it.

    python -m benchmarks.denoising --images DIR [--every 3] [--model FILE ...] [--json [FILE]]

(``diffc bench denoising`` where installed.)  Noise of standard deviation sigma, in 8-bit grey
levels, is added to whole pictures, not rounded and not clipped; PSNR of the model's posterior mean,
clipped to the range of pictures, averaged over pictures.  In the units of the codec the signal-to-
noise ratio is (63.75 / sigma)^2: at 15, 25 and 50 it is where a stream's bits are spent, and a
decibel here is about two in the picture.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from diffc_stream.diffusion import octaves
from diffc_stream.diffusion.collection import default_model
from diffc_stream.diffusion.model import Model, load_model
from diffc_stream.picture import load_picture

from .command import count, exit_code, tell
from .pictures import pictures

Floats = NDArray[np.float32]

SIGMAS = (15.0, 25.0, 50.0)
GREY_LEVELS = 255 / 4
"""8-bit grey levels per unit of the codec's signal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Denoised:
    """What one model reached."""

    model: str
    """Name and fingerprint."""
    psnr: Mapping[float, Mapping[str, float]]
    """dB, peak 255, by sigma and picture."""

    def mean(self, sigma: float) -> float:
        """Return the mean PSNR at ``sigma``."""
        return float(np.mean(list(self.psnr[sigma].values())))


def main(arguments: Sequence[str] | None = None, *, prog: str | None = None) -> int:
    """Measure and return the exit code; errors are one line on stderr."""
    parsed = _parser(prog or "python -m benchmarks.denoising").parse_args(arguments)
    return exit_code("denoising", lambda: _run(parsed))


def _run(parsed: argparse.Namespace) -> None:
    paths = pictures(parsed.images, parsed.every)
    models = [load_model(file) for file in parsed.model] or [default_model()]
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("denoising", total=len(models) * len(parsed.sigma) * len(paths))
        results = [
            measured(model, paths, parsed.sigma, lambda: progress.advance(task)) for model in models
        ]
    tell(table(results), {"results": [asdict(result) for result in results]}, parsed.json)


def measured(
    model: Model, paths: Sequence[Path], sigmas: Sequence[float], done: Callable[[], None]
) -> Denoised:
    """Return what ``model`` makes of the pictures at ``paths``; ``done`` is told of each."""
    psnr: dict[float, dict[str, float]] = {}
    for sigma in sigmas:
        psnr[sigma] = {}
        for number, path in enumerate(paths):
            x = octaves.signal(load_picture(path))
            psnr[sigma][path.name] = denoised(model, x, sigma, np.random.default_rng(number))
            done()
    return Denoised(model=f"{model.name} {model.fingerprint}", psnr=psnr)


def denoised(model: Model, x: Floats, sigma: float, rng: np.random.Generator) -> float:
    """Return the PSNR (dB) of the signal ``x`` (3, H, W), noisy by ``sigma``, made clean again."""
    snr = (GREY_LEVELS / sigma) ** 2
    noise = rng.standard_normal(x.shape, np.float32)
    x_hat = model.denoiser(np.float32(snr) * x + np.float32(np.sqrt(snr)) * noise, snr)
    error = np.mean(np.square(x_hat - x, dtype=np.float64)) * GREY_LEVELS**2
    return float(10 * np.log10(255**2 / error))


def table(results: Sequence[Denoised]) -> str:
    """Return a line of means for each model, in Markdown."""
    sigmas = list(results[0].psnr)
    rows = [
        "| model | " + " | ".join(f"sigma {sigma:g}" for sigma in sigmas) + " |",
        "|---|" + "---|" * len(sigmas),
    ]
    for result in results:
        means = " | ".join(f"{result.mean(sigma):.2f}" for sigma in sigmas)
        rows.append(f"| {result.model} | {means} |")
    return "\n".join(rows)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--every", type=count, default=1, help="take every N-th picture")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        nargs="+",
        default=[],
        help="beside each other (default: the default model)",
    )
    parser.add_argument(
        "--sigma", type=_sigma, nargs="+", default=SIGMAS, help="grey levels (default: 15 25 50)"
    )
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write everything there too, or to standard output instead of the table",
    )
    return parser


def _sigma(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.1 and 1000")
    return value


if __name__ == "__main__":
    sys.exit(main())
